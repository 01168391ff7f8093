import { setTimeout as sleep } from 'node:timers/promises'
import { type AttemptsStatus, Breaker } from '../../core/breaker.js'
import { CacheError, type CacheErrorCode, hasCode } from '../../core/errors.js'
import type { Clock, Log } from '../../core/ports.js'
import { isReadTimeout, isUndone, isUnreachable, mayBeTriedAgain, messageOf, sqlState } from './errors.js'

export interface AttemptsParts {
  readonly clock: Clock
  readonly log: Log
  /** Time that a request may wait until its statement begins. */
  readonly timeoutMs: number
  /** Resolves if the server answers. Without `ping`, every timeout counts as a server that does not answer. */
  readonly ping?: () => Promise<void>
}

const breakerOptions = { failures: 5, pauseMs: 1_000 }
const firstPauseMs = 20
const longestPauseMs = 500

/**
 * Retries and circuit breaker for the statements of requests. A statement that has certainly done nothing is sent
 * again, after a pause that doubles and has jitter, so that sidecars do not retry together. While the breaker is open,
 * requests fail immediately.
 */
export class Attempts {
  readonly #parts: AttemptsParts
  readonly #breaker = new Breaker(breakerOptions)
  #retries = 0
  #asking: Promise<void> | undefined
  /** Code of the latest failure, with which requests fail while the breaker is open. */
  #lastCode: CacheErrorCode = 'store-unavailable'

  constructor(parts: AttemptsParts) {
    this.#parts = parts
  }

  status(): AttemptsStatus {
    const { state, opened, refused } = this.#breaker
    return { breaker: state, retries: this.#retries, opened, refused }
  }

  /**
   * Calls `attempt`, which rejects with a CacheError, until it succeeds or must not be repeated. The last attempt
   * begins within half of `timeoutMs`, because it may have to wait for a connection itself. After `maxConflicts`
   * conflicts with other transactions, the next one is final.
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
        // A trigger can raise this state at once, without waiting for a lock. A caller that resends must not spin.
        if (sqlState(error) === '55P03') await sleep(firstPauseMs)
        const pauseMs = Math.min(firstPauseMs * 2 ** count, longestPauseMs) * (0.5 + Math.random() / 2)
        const isOneTooMany = isUndone(error) && conflicts++ >= maxConflicts
        if (isOneTooMany || !mayBeTriedAgain(error) || clock.now() + pauseMs > lastAtMs) throw error
        this.#retries++
        await sleep(pauseMs)
      }
    }
  }

  /** Closes the breaker. To be called whenever the database has answered, to this statement or to any other. */
  reached(): void {
    const was = this.#breaker.state
    this.#breaker.reached()
    if (was !== 'closed') this.#parts.log.info({}, 'the database is reachable again')
  }

  #note(error: unknown): void {
    const { ping } = this.#parts
    if (isReadTimeout(error) && ping) this.#ask(ping, error)
    else if (isUnreachable(error) || isReadTimeout(error)) this.#failed(error)
    else this.reached()
  }

  /**
   * Pings the server after a timeout. A slow statement does not mean that the server is dead: a row can be too large to
   * be transferred in time, for example. Only a failed ping counts as a failure.
   */
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
        'the database is unreachable: requests no longer wait for it',
      )
  }
}
