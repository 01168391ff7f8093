import { setTimeout as sleep } from 'node:timers/promises'
import { type AttemptsStatus, Breaker } from '../core/breaker.js'
import { CacheError } from '../core/errors.js'
import type { Clock, Log } from '../core/ports.js'
import { lockTimeoutMs } from './database.js'
import { isLockTimeout, isReadTimeout, isUnreachable, mayBeTriedAgain, messageOf } from './errors.js'

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

  constructor(parts: AttemptsParts) {
    this.#parts = parts
  }

  status(): AttemptsStatus {
    const { state, opened, refused } = this.#breaker
    return { breaker: state, retries: this.#retries, opened, refused }
  }

  /**
   * `attempt` rejects with a CacheError. The last one begins within half of the time that a request has for that: it
   * may itself wait for its connection. With `isPatient`, a lock is waited for all of the time.
   */
  async run<T>(attempt: () => Promise<T>, { isPatient } = { isPatient: false }): Promise<T> {
    const { clock, timeoutMs } = this.#parts
    const startedMs = clock.now()
    const lastAtMs = startedMs + timeoutMs / 2
    const lastLockAtMs = startedMs + timeoutMs - lockTimeoutMs(timeoutMs)
    for (let count = 0; ; count++) {
      if (!this.#breaker.lets(clock.now()))
        throw new CacheError('store-unavailable', 'the database could not be reached a moment ago')
      try {
        const answer = await attempt()
        this.reached()
        return answer
      } catch (error) {
        this.#note(error)
        const pauseMs = Math.min(firstPauseMs * 2 ** count, longestPauseMs) * (0.5 + Math.random() / 2)
        const isWaiting = isPatient && isLockTimeout(error) && clock.now() + pauseMs <= lastLockAtMs
        if (!isWaiting && (!mayBeTriedAgain(error) || clock.now() + pauseMs > lastAtMs)) throw error
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
    if (!isUnreachable(error)) this.reached()
    else if (isReadTimeout(error) && this.#parts.ping) this.#ask(this.#parts.ping, error)
    else this.#failed(error)
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
    const was = this.#breaker.state
    this.#breaker.failed(this.#parts.clock.now())
    if (was === 'closed' && this.#breaker.state === 'open')
      this.#parts.log.warn(
        { reason: messageOf(error) },
        'the database is not reached: requests no longer wait for it',
      )
  }
}
