import type { Clock } from '../../core/ports.js'

/** Reads of the keys of a binding from the database, since the process started. */
export interface BindingCost {
  readonly statements: number
  readonly keys: number
  /** Time of all statements, in ms. */
  readonly totalMs: number
}

const nothing: BindingCost = { statements: 0, keys: 0, totalMs: 0 }

/** Counts what the keys of each binding cost the database. Nothing is counted for a hit, which costs it nothing. */
export class BindingCosts {
  readonly #clock: Pick<Clock, 'now'>
  readonly #costs = new Map<string, BindingCost>()

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** Sends a statement for some keys of a binding, and counts it if it succeeds. */
  async counted<T>(pattern: string, keys: number, send: () => Promise<T>): Promise<T> {
    const sinceMs = this.#clock.now()
    const answer = await send()
    const before = this.of(pattern)
    this.#costs.set(pattern, {
      statements: before.statements + 1,
      keys: before.keys + keys,
      totalMs: before.totalMs + this.#clock.now() - sinceMs,
    })
    return answer
  }

  of(pattern: string): BindingCost {
    return this.#costs.get(pattern) ?? nothing
  }
}
