import type { AuditClock } from '../../../src/tools/audit/audit-clock.js'

/** Time stands still until the test moves it; who sleeps wakes in the order of the alarms. */
export class DrivenTime implements AuditClock {
  #nowMs = 1_000_000
  readonly #sleepers = new Set<{ readonly dueMs: number; readonly wake: () => void }>()

  now(): number {
    return this.#nowMs
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const sleeper = {
        dueMs: this.#nowMs + ms,
        wake: () => {
          this.#sleepers.delete(sleeper)
          resolve()
        },
      }
      this.#sleepers.add(sleeper)
      signal.addEventListener('abort', sleeper.wake)
    })
  }

  /** Resolves when those woken have done what they could. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    for (;;) {
      const [next] = [...this.#sleepers].sort((one, other) => one.dueMs - other.dueMs)
      if (next === undefined || next.dueMs > untilMs) break
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      next.wake()
      await turn()
    }
    this.#nowMs = untilMs
    await turn()
  }

  /** Simulates a frozen process: sleepers wake late. */
  async freeze(ms: number): Promise<void> {
    this.#nowMs += ms
    for (const { dueMs, wake } of [...this.#sleepers]) if (dueMs <= this.#nowMs) wake()
    await turn()
  }
}

/** Resolves when everything that is ready has run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
