import { CacheError, PublicError } from '../../core/errors.js'
import type { Database } from '../pool/database.js'
import { deaf, echo } from './echo.js'
import type { ListenSession } from './listen-session.js'

export interface ListenerLivenessOptions {
  /** Time to wait for a notification from elsewhere before the sidecar sends an echo. */
  readonly quietMs: number
  /** Time that an echo may take from the server to the session. */
  readonly echoTimeoutMs: number
}

export interface ListenerLivenessParts {
  readonly database: Database
  readonly session: ListenSession
  /** Called when the session receives no notifications, or the pool leads to another server. */
  readonly onDeaf: (reason: unknown) => void
}

const ownEchoIntervalMs = 15_000

/**
 * Confirms that the session still receives notifications. A session that is connected but deaf (after DISCARD ALL or
 * UNLISTEN) answers probes like any other. A notification that arrives *after* the answer shows that LISTEN was still
 * in force when the probe was answered:
 *   1. the probe is sent, and answered      3. LISTEN is gone
 *   2. a notification arrives               4. the next probe is answered, and nothing arrives any more
 *
 * Any notification will do: a change, or an echo of any sidecar. A sidecar that has received nothing for a while sends
 * an echo, and all sidecars receive it. So a fleet of any size sends about two echoes a second, and none while changes
 * flow.
 */
export class ListenerLiveness {
  readonly #options: ListenerLivenessOptions
  readonly #parts: ListenerLivenessParts
  #echoedMs: number

  constructor(options: ListenerLivenessOptions, parts: ListenerLivenessParts, nowMs: number) {
    this.#options = options
    this.#parts = parts
    // Random, so that sidecars that started or reconnected at the same moment do not send their echoes together ever
    // after.
    this.#echoedMs = nowMs - ownEchoIntervalMs * Math.random()
  }

  /**
   * Resolves once the session, which has just answered a probe, has shown that it receives notifications. A pool that
   * is busy or unavailable says nothing about the session, and must not cost the lease: if the pool cannot send an echo
   * within `quietMs`, the probe counts. Rejects if the session is deaf.
   */
  async confirm(nowMs: number): Promise<void> {
    const { quietMs } = this.#options
    const { session } = this.#parts
    // Echoes of other sidecars do not show that our pool leads to this server.
    const isOwnDue = nowMs - this.#echoedMs >= ownEchoIntervalMs
    if (!isOwnDue && (await session.receivesAny(quietMs))) return
    this.#echoedMs = nowMs
    let isSent = false
    const echoed = this.#echo(() => {
      isSent = true
    })
    if ((await session.receivesAny(quietMs)) || !isSent) return
    // The server has accepted the echo, so it would deliver the echo before it answers this query.
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
