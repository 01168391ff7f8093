import type { Epoch } from '../entry.js'
import type { Clock, Log } from '../ports.js'
import type { FeedState } from '../state/lease.js'

/** Logs every change of the feed's state, with the reason and the duration of the state before. */
export class FeedLog {
  readonly #clock: Clock
  readonly #log: Log
  #state: FeedState = 'down'
  #sinceMs: number

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
    this.#sinceMs = clock.now()
  }

  lost(reason: string): void {
    this.#log.warn({ reason, ...this.#turnTo('down') }, 'change feed lost')
  }

  catchingUp(reason: string): void {
    this.#log.info({ reason, ...this.#turnTo('catching-up') }, 'change feed catching up')
  }

  idle(): void {
    this.#log.info(
      { reason: 'no requests for CACHE_IDLE_AFTER_MS', ...this.#turnTo('idle') },
      'change feed idle',
    )
  }

  live(fields: { readonly epoch: Epoch | undefined; readonly entries: number }): void {
    const reason = 'all entries have been compared with the database'
    this.#log.info({ reason, ...this.#turnTo('live'), ...fields }, 'change feed live')
  }

  #turnTo(state: FeedState): { readonly was: FeedState; readonly forMs: number } {
    const nowMs = this.#clock.now()
    const before = { was: this.#state, forMs: Math.round(nowMs - this.#sinceMs) }
    this.#state = state
    this.#sinceMs = nowMs
    return before
  }
}
