import type { Clock } from '../../core/ports.js'
import type { PlainResponse } from '../routes/response.js'

/**
 * Limits of scrapes, which take a few milliseconds each, and which anybody on the pod network may request. At most 2 %
 * of the time is spent on them.
 */
const burst = 10
const refillMs = 200

/** Answers scrapes. Computes ten at once, then five a second. Scrapes in between get the last answer again. */
export class Scrapes {
  readonly #clock: Clock
  readonly #compute: () => Promise<PlainResponse>
  #allowance = burst
  #refilledMs: number
  #last: Promise<PlainResponse> | undefined

  constructor(clock: Clock, compute: () => Promise<PlainResponse>) {
    this.#clock = clock
    this.#compute = compute
    this.#refilledMs = clock.now()
  }

  answer(): Promise<PlainResponse> {
    const nowMs = this.#clock.now()
    this.#allowance = Math.min(burst, this.#allowance + (nowMs - this.#refilledMs) / refillMs)
    this.#refilledMs = nowMs
    if (this.#last !== undefined && this.#allowance < 1) return this.#last
    this.#allowance--
    const last = this.#compute()
    this.#last = last
    // An error is not kept: the next scrape computes again.
    last.catch(() => {
      if (this.#last === last) this.#last = undefined
    })
    return last
  }
}
