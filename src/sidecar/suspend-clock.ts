import type { Clock } from '../core/ports.js'

export interface SuspendClockOptions {
  /** Returns a monotonic time in ms, which may stand still while the machine is suspended. */
  readonly monotonicMs: () => number
  /** Returns the wall clock in ms since 1970. */
  readonly wallMs: () => number
  /** Called when the wall clock has advanced further than the monotonic one, with the difference. */
  readonly onJump?: (ms: number) => void
}

/** Smaller differences come from the clocks' resolution, or from a pause between the two readings. */
const toleranceMs = 20

/**
 * A monotonic clock that counts the time that the machine was suspended. Linux stops its monotonic clock then, and a
 * lease (P7) measured by that clock alone outlives a sleep:
 *   1. a probe is sent at 10.0 s and answered: the lease holds until 13.0 s
 *   2. the machine is suspended at 10.5 s
 *   3. an hour passes; another sidecar's write is acknowledged
 *   4. the machine wakes at 10.5 s of the monotonic clock; nothing has yet found that the connections are gone
 *   5. a request comes: a hit, an hour old
 * An answer that waits in the socket does not renew it either: 1. we send a probe; 2. we are suspended; 3. we wake and
 * read the answer of an hour ago. The probe counts from when it was sent, by this clock an hour ago.
 *
 * When the wall clock is set forward, that counts as well: the lease ends early, and the next probe renews it. When it
 * is set back, nothing changes. Short suspensions add up until they pass the tolerance, so all in all at most that much
 * is missed.
 */
export class SuspendClock implements Clock {
  readonly #options: SuspendClockOptions
  /** Lead of the wall clock over the monotonic one when the two were last compared. */
  #leadMs: number
  #suspendedMs = 0

  constructor(options: SuspendClockOptions) {
    this.#options = options
    this.#leadMs = this.#readLeadMs()
  }

  now(): number {
    const { monotonicMs, wallMs } = this.#options
    const nowMs = monotonicMs()
    const changeMs = wallMs() - nowMs - this.#leadMs
    if (changeMs <= toleranceMs && changeMs >= -toleranceMs) return nowMs + this.#suspendedMs
    this.#compare()
    return monotonicMs() + this.#suspendedMs
  }

  defer(task: () => void): void {
    setImmediate(task)
  }

  /** Reads both clocks again: the process may have been paused between two readings, but hardly twice in a row. */
  #compare(): void {
    const leadMs = this.#readLeadMs()
    const changeMs = leadMs - this.#leadMs
    if (Math.abs(changeMs) <= toleranceMs) return
    this.#leadMs = leadMs
    if (changeMs < 0) return
    this.#suspendedMs += changeMs
    this.#options.onJump?.(changeMs)
  }

  #readLeadMs(): number {
    const { monotonicMs, wallMs } = this.#options
    return wallMs() - monotonicMs()
  }
}
