import { CacheError, type CacheErrorCode } from '../errors.js'
import type { Clock, Log } from '../ports.js'

/** Pauses after the database has answered with an error: they double from the first to the longest. */
const firstPauseMs = 1_000
const longestPauseMs = 30_000
const reportIntervalMs = 60_000

/** Outcome of the attempts to send pending writes. Decides when the next one is due, and logs what prevents them. */
export class DeliveryAttempts {
  readonly #clock: Clock
  readonly #log: Log
  #obstacle: CacheErrorCode | undefined
  #failures = 0
  #dueMs = Number.NEGATIVE_INFINITY
  #reportedMs = Number.NEGATIVE_INFINITY
  #reportedUnsentMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  /** Error that kept some of the writes from being sent at the last attempt; undefined if there was none. */
  get obstacle(): CacheErrorCode | undefined {
    return this.#obstacle
  }

  get isDue(): boolean {
    return this.#clock.now() >= this.#dueMs
  }

  /**
   * Records the end of an attempt after which `left` writes are pending. Logs the obstacle once a minute, so that
   * nobody waits for these writes without knowing why. An unavailable store is no obstacle: the next contact counts.
   */
  ended(failure: unknown, left: number): void {
    const nowMs = this.#clock.now()
    if (!(failure instanceof CacheError) || failure.code === 'store-unavailable') {
      this.#obstacle = failure instanceof CacheError ? failure.code : undefined
      this.#failures = 0
      this.#dueMs = Number.NEGATIVE_INFINITY
      return
    }
    this.#obstacle = failure.code
    this.#dueMs = nowMs + Math.min(firstPauseMs * 2 ** this.#failures++, longestPauseMs)
    if (nowMs - this.#reportedMs < reportIntervalMs) return
    this.#reportedMs = nowMs
    this.#log.warn({ pending: left, reason: failure.message }, 'pending writes cannot be delivered')
  }

  /**
   * Logs once a minute that an attempt at a contact failed: while the feed is live and the pool gets no connection,
   * every probe makes one.
   */
  unsent(error: unknown): void {
    const nowMs = this.#clock.now()
    if (nowMs - this.#reportedUnsentMs < reportIntervalMs) return
    this.#reportedUnsentMs = nowMs
    this.#log.warn({ err: error }, 'pending writes could not be sent yet')
  }
}
