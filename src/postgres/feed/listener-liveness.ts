import { CacheError, PublicError } from '../../core/errors.js'
import type { Database } from '../pool/database.js'
import { deaf, echo } from './echo.js'
import type { ListenSession } from './listen-session.js'

export interface ListenerLivenessOptions {
  /** How long to wait for somebody else's notification before one of our own is sent. */
  readonly quietMs: number
  /** How long an echo may take from the server to here. */
  readonly echoTimeoutMs: number
}

export interface ListenerLivenessParts {
  readonly database: Database
  readonly session: ListenSession
  /** Called when the session is deaf, or the pool leads to another server. */
  readonly onDeaf: (reason: unknown) => void
}

const ownEchoIntervalMs = 15_000

/**
 * Does the session hear? One that is connected but deaf (after DISCARD ALL, or UNLISTEN) answers probes as any other.
 * What it hears *after* the answer shows that LISTEN was still in force at the answer:
 *   1. the probe is sent, and answered      3. LISTEN is gone
 *   2. a notification is heard              4. the next probe is answered, and nothing is heard any more
 *
 * Any notification will do: a change, or an echo of any sidecar. Who has heard nothing for a while sends an echo,
 * and all hear it, so that a fleet sends about two in a second whatever its size, and none while changes flow.
 */
export class ListenerLiveness {
  readonly #options: ListenerLivenessOptions
  readonly #parts: ListenerLivenessParts
  #echoedMs: number

  constructor(options: ListenerLivenessOptions, parts: ListenerLivenessParts, nowMs: number) {
    this.#options = options
    this.#parts = parts
    // A fleet that started in one moment, or came back in one, does not ask all at once ever after.
    this.#echoedMs = nowMs - ownEchoIntervalMs * Math.random()
  }

  /**
   * Resolves once the session, which has just answered a probe, is known to hear. A pool that is busy or away says
   * nothing about the session, and must not cost the lease: after a while without an answer from there the
   * probe is believed. Rejects when the session is deaf.
   */
  async confirm(nowMs: number): Promise<void> {
    const { quietMs } = this.#options
    const { session } = this.#parts
    // Others' echoes say nothing about our pool.
    const isOwnDue = nowMs - this.#echoedMs >= ownEchoIntervalMs
    if (!isOwnDue && (await session.hears(quietMs))) return
    this.#echoedMs = nowMs
    let isSent = false
    const echoed = this.#echo(() => {
      isSent = true
    })
    if ((await session.hears(quietMs)) || !isSent) return
    // It would be delivered before this is answered.
    const answered = session.query('select').then(() => Promise.reject(new PublicError(deaf)))
    await Promise.race([echoed, answered])
  }

  #echo(onSent: () => void): Promise<void> {
    const { database, session, onDeaf } = this.#parts
    const echoed = echo(database, session, this.#options.echoTimeoutMs, onSent)
    echoed.catch((error: unknown) => {
      if (!(error instanceof CacheError)) onDeaf(error)
    })
    return echoed
  }
}
