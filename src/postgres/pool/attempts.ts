import { setTimeout as sleep } from 'node:timers/promises'
import { type AttemptsStatus, Breaker } from '../../core/breaker.js'
import { CacheError, type CacheErrorCode, hasCode } from '../../core/errors.js'
import type { Clock, Log } from '../../core/ports.js'
import { isReadTimeout, isUndone, isUnreachable, mayBeTriedAgain, messageOf, sqlState } from './errors.js'

export interface AttemptsParts {
  readonly clock: Clock
  readonly log: Log
  /** How long a request waits for its statement to begin. */
  readonly timeoutMs: number
  /** Resolves if the server answers. Without it, every timeout counts as a server that does not. */
  readonly ping?: () => Promise<void>
}

const breakerOptions = { failures: 5, pauseMs: 1_000 }
const firstPauseMs = 20
const longestPauseMs = 500

/**
 * The statements of requests. One that has certainly done nothing is sent again, after a pause that doubles and is
 * never the same in two sidecars; and while the database is taken for dead, a request learns that at once.
 */
export class Attempts {
  readonly #parts: AttemptsParts
  readonly #breaker = new Breaker(breakerOptions)
  #retries = 0
  #asking: Promise<void> | undefined
  /** With which the breaker was opened. */
  #lastCode: CacheErrorCode = 'store-unavailable'

  constructor(parts: AttemptsParts) {
    this.#parts = parts
  }

  status(): AttemptsStatus {
    const { state, opened, refused } = this.#breaker
    return { breaker: state, retries: this.#retries, opened, refused }
  }

  /**
   * `attempt` rejects with a CacheError. The last one begins within half of the time that a request has for that: it
   * may itself wait for its connection. After `maxConflicts` with other transactions it is not sent again.
   */
  async run<T>(attempt: () => Promise<T>, maxConflicts = Number.POSITIVE_INFINITY): Promise<T> {
    const { clock, timeoutMs } = this.#parts
    const lastAtMs = clock.now() + timeoutMs / 2
    let conflicts = 0
    for (let count = 0; ; count++) {
      if (!this.#breaker.lets(clock.now()))
        throw new CacheError(this.#lastCode, 'the database could not be reached a moment ago', {
          isOfWholeStatement: true,
        })
      try {
        const answer = await attempt()
        this.reached()
        return answer
      } catch (error) {
        this.#note(error)
        // Raised by a trigger, and not after a lock timeout: whoever sends it again must not do so without end.
        if (sqlState(error) === '55P03') await sleep(firstPauseMs)
        const pauseMs = Math.min(firstPauseMs * 2 ** count, longestPauseMs) * (0.5 + Math.random() / 2)
        const isOneTooMany = isUndone(error) && conflicts++ >= maxConflicts
        if (isOneTooMany || !mayBeTriedAgain(error) || clock.now() + pauseMs > lastAtMs) throw error
        this.#retries++
        await sleep(pauseMs)
      }
    }
  }

  /** The database has answered, if only to somebody else. */
  reached(): void {
    const was = this.#breaker.state
    this.#breaker.reached()
    if (was !== 'closed') this.#parts.log.info({}, 'the database is reached again')
  }

  #note(error: unknown): void {
    const { ping } = this.#parts
    if (isReadTimeout(error) && ping) this.#ask(ping, error)
    else if (isUnreachable(error) || isReadTimeout(error)) this.#failed(error)
    else this.reached()
  }

  /** A slow statement is not a dead server: a row that is too large to transfer in time, for example. Asks before it is believed. */
  #ask(ping: () => Promise<void>, error: unknown): void {
    this.#asking ??= ping()
      .then(
        () => this.reached(),
        () => this.#failed(error),
      )
      .finally(() => {
        this.#asking = undefined
      })
  }

  #failed(error: unknown): void {
    this.#lastCode = hasCode(error, 'store-suspended') ? 'store-suspended' : 'store-unavailable'
    const was = this.#breaker.state
    this.#breaker.failed(this.#parts.clock.now())
    if (was === 'closed' && this.#breaker.state === 'open')
      this.#parts.log.warn(
        { reason: messageOf(error) },
        'the database is not reached: requests no longer wait for it',
      )
  }
}
