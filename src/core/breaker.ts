/**
 * Circuit breaker for the store. After several failures in a row to reach the store, requests no longer wait for it:
 * after a pause, one request at a time tries.
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

/** Counters of the attempts to send the statements of requests. */
export interface AttemptsStatus {
  readonly breaker: BreakerState
  /** Statements that were retried, times that the breaker opened, and statements that it refused. */
  readonly retries: number
  readonly opened: number
  readonly refused: number
}

export interface BreakerOptions {
  /** Number of failures in a row that opens the breaker. */
  readonly failures: number
  readonly pauseMs: number
}

export class Breaker {
  readonly #options: BreakerOptions
  #state: BreakerState = 'closed'
  #failures = 0
  #triesAtMs = 0
  /** Times that the breaker opened from the closed state, and requests that it refused. */
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

  /** Returns true if the store may be asked. The caller then reports `reached` or `failed` afterwards. */
  lets(nowMs: number): boolean {
    if (this.#state === 'closed') return true
    if (this.#state === 'open' && nowMs >= this.#triesAtMs) {
      this.#state = 'trying'
      return true
    }
    this.#refused++
    return false
  }

  /** Records that the store has answered any caller, with a result or with an error. */
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
