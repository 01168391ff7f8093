import { setTimeout as sleep } from 'node:timers/promises'
import { CacheError } from '../core/errors.js'
import type { ChangeFeed, ChangeFeedHandler, Clock, Log } from '../core/ports.js'
import { decodeChanges } from './change.js'
import type { Database } from './database.js'
import { echo } from './echo.js'
import { messageOf } from './errors.js'
import { Hearing } from './hearing.js'
import { ListenSession } from './listen-session.js'
import { within } from './within.js'

export interface PostgresChangeFeedOptions {
  /** Direct: LISTEN does not work through a pooler in transaction mode. */
  readonly url: string
  readonly maxStalenessMs: number
}

export interface Announcer {
  /** Where changes are announced. */
  readonly channel: string
  /** Another one than before: in between, changes may not have been announced. */
  readonly state: string
}

export interface PostgresChangeFeedParts {
  readonly database: Database
  readonly clock: Clock
  readonly log: Log
  /** Makes sure that the schema is as it must be. Called before every session and every minute. */
  readonly prepare: () => Promise<Announcer>
}

const schemaIntervalMs = 60_000
const connectTimeoutMs = 3_000
/** Pauses between attempts: from the first to the second of these, doubling, and up to half of it at random. */
const firstPauseMs = 100
const longestPauseMs = 2_000

/**
 * The change feed, kept up by itself. Each turn of `#run` is one session:
 *
 *   prepare -> LISTEN acknowledged -> echo -> handler.listening -> probe, probe, ... -> lost -> pause
 *
 * Whatever goes wrong in between ends the session, and the next one starts from nothing.
 */
export class PostgresChangeFeed implements ChangeFeed {
  readonly #options: PostgresChangeFeedOptions
  readonly #parts: PostgresChangeFeedParts
  readonly #closing = new AbortController()
  #running: Promise<void> | undefined

  constructor(options: PostgresChangeFeedOptions, parts: PostgresChangeFeedParts) {
    this.#options = options
    this.#parts = parts
  }

  start(handler: ChangeFeedHandler): Promise<void> {
    return new Promise((resolve) => {
      this.#running = this.#run(handler, resolve)
    })
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(handler: ChangeFeedHandler, onFirstAttempt: () => void): Promise<void> {
    const { database, log } = this.#parts
    let failures = 0
    let lastReason = ''
    while (!this.#closing.signal.aborted) {
      const reason = await this.#session(handler, () => {
        failures = 0
        lastReason = ''
        onFirstAttempt()
      })
      if (this.#closing.signal.aborted) break
      handler.lost(reason)
      if (reason !== lastReason) log.warn({ reason }, 'no change feed; trying again')
      lastReason = reason
      database.renew()
      onFirstAttempt()
      const pauseMs = Math.min(firstPauseMs * 2 ** failures++, longestPauseMs)
      await sleep(pauseMs * (0.5 + Math.random() / 2), undefined, { signal: this.#closing.signal }).catch(
        () => {},
      )
    }
    onFirstAttempt()
  }

  /** One session, to its end. Resolves to the reason why it ended. */
  async #session(handler: ChangeFeedHandler, onLive: () => void): Promise<string> {
    const { prepare, clock, database } = this.#parts
    const over = new AbortController()
    const end = (reason: unknown) => over.abort(reason)
    const ended = new Promise<never>((_resolve, reject) => {
      over.signal.addEventListener('abort', () => reject(over.signal.reason))
    })
    ended.catch(() => undefined)
    const close = () => end(new Error('closed'))
    this.#closing.signal.addEventListener('abort', close)

    let session: ListenSession | undefined
    try {
      const announcer = await Promise.race([prepare(), ended])
      session = new ListenSession({
        url: this.#options.url,
        channel: announcer.channel,
        connectTimeoutMs,
        unreadTimeoutMs: this.#unreadTimeoutMs,
        onNotification: (payload) => deliver(payload, handler, end),
      })
      session.lost.catch(end)
      await Promise.race([within(connectTimeoutMs, session.open(), 'LISTEN was not answered'), ended])
      const listeningSinceMs = clock.now()
      await Promise.race([echo(database, session, this.#probeTimeoutMs), ended])
      const caughtUp = handler.listening(listeningSinceMs).then(onLive)
      await Promise.race([Promise.all([caughtUp, this.#prove(session, announcer, handler, over)]), ended])
      return 'closed'
    } catch (error) {
      return messageOf(error)
    } finally {
      close()
      this.#closing.signal.removeEventListener('abort', close)
      session?.destroy()
    }
  }

  /** Renews the lease until the session is over. */
  async #prove(
    session: ListenSession,
    announcer: Announcer,
    handler: ChangeFeedHandler,
    over: AbortController,
  ): Promise<never> {
    const { clock, prepare, database } = this.#parts
    let sentMs = clock.now()
    let preparedMs = sentMs
    const { signal } = over
    const onDeaf = (reason: unknown) => over.abort(reason)
    const options = { quietMs: this.#probeIntervalMs / 2, echoTimeoutMs: this.#probeTimeoutMs }
    const hearing = new Hearing(options, { database, session, onDeaf }, sentMs)
    for (;;) {
      const dueMs = sentMs + this.#probeIntervalMs * (0.8 + 0.4 * Math.random())
      await sleep(Math.max(0, dueMs - clock.now()), undefined, { signal })
      sentMs = clock.now()
      await within(this.#probeTimeoutMs, session.probe(), 'the listening connection does not answer')
      await hearing.confirm(sentMs)
      signal.throwIfAborted()
      handler.proven(sentMs)?.catch(onDeaf)
      if (sentMs - preparedMs >= schemaIntervalMs) {
        preparedMs = sentMs
        // Beside the probes: the pool may be busy, and that must not cost the lease.
        prepare().then(
          ({ state }) => {
            if (state !== announcer.state) over.abort(new Error('the triggers have been changed'))
          },
          (error: unknown) => {
            if (!(error instanceof CacheError)) over.abort(error)
          },
        )
      }
    }
  }

  get #probeIntervalMs(): number {
    return Math.min(1_000, this.#options.maxStalenessMs / 3)
  }

  /** With the longest interval before it, a silent link is given up within the staleness bound. */
  get #probeTimeoutMs(): number {
    return this.#options.maxStalenessMs / 2
  }

  /** Whoever did not read for so long has given the session up, or will as soon as it runs again. */
  get #unreadTimeoutMs(): number {
    return this.#options.maxStalenessMs * 4
  }
}

/** A handler that throws has not applied the change: only a new session, with its revalidation, mends that. */
function deliver(
  payload: string | undefined,
  handler: ChangeFeedHandler,
  end: (reason: unknown) => void,
): void {
  try {
    for (const change of decodeChanges(payload)) handler.changed(change)?.catch(end)
  } catch (error) {
    end(error)
  }
}
