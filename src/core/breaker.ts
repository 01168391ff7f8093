/**
 * Is the store worth asking? When it was not reached several times in a row, nobody waits for it any more: one
 * request at a time tries, after a pause.
 *
 *               failed, several in a row                 after a pause
 *      closed ---------------------------> open ---------------------------> trying
 *        ^  ^                               ^  |                             |    |
 *        |  |            reached            |  |            failed           |    |
 *        |  +-------------------------------|--+                             |    |
 *        |                                  +--------------------------------+    |
 *        +------------------------------------------------------------------------+
 *                                         reached
 */
export type BreakerState = 'closed' | 'open' | 'trying'

/** How statements of requests have fared. */
export interface AttemptsStatus {
  readonly breaker: BreakerState
  /** Statements sent again, times the breaker was opened, and statements that it turned away. */
  readonly retries: number
  readonly opened: number
  readonly refused: number
}

export interface BreakerOptions {
  /** So many failures in a row open it. */
  readonly failures: number
  readonly pauseMs: number
}

export class Breaker {
  readonly #options: BreakerOptions
  #state: BreakerState = 'closed'
  #failures = 0
  #triesAtMs = 0
  /** Times it was opened out of the closed state, and requests that were turned away. */
  #opened = 0
  #refused = 0

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  get state(): BreakerState {
    return this.#state
  }

  get opened(): number {
    return this.#opened
  }

  get refused(): number {
    return this.#refused
  }

  /** May the store be asked? Whoever is told yes says `reached` or `failed` afterwards. */
  lets(nowMs: number): boolean {
    if (this.#state === 'closed') return true
    if (this.#state === 'open' && nowMs >= this.#triesAtMs) {
      this.#state = 'trying'
      return true
    }
    this.#refused++
    return false
  }

  /** The store has answered, whomever and whatever. */
  reached(): void {
    this.#state = 'closed'
    this.#failures = 0
  }

  failed(nowMs: number): void {
    const { failures, pauseMs } = this.#options
    this.#failures++
    if (this.#failures < failures) return
    if (this.#state === 'closed') this.#opened++
    this.#state = 'open'
    this.#triesAtMs = nowMs + pauseMs
  }
}
