import { setTimeout as sleep } from 'node:timers/promises'
import type { Change } from '../../core/entry.js'
import { decodeChanges } from '../../postgres/feed/change.js'
import { echo } from '../../postgres/feed/echo.js'
import { ListenSession } from '../../postgres/feed/listen-session.js'
import type { Database } from '../../postgres/pool/database.js'
import { messageOf } from '../../postgres/pool/errors.js'
import { withTimeout } from '../../postgres/pool/with-timeout.js'
import { inspectTable } from '../../postgres/schema/table-inspection.js'

export interface ChangeFollowerOptions {
  /** URL that leads directly to the server: LISTEN does not work through a pooler in transaction mode. */
  readonly listenUrl: string
}

export interface ChangeFollowerParts {
  readonly database: Database
  readonly onChange: (change: Change) => void
  /** Called when the feed is lost. From then on, changes may be missed. */
  readonly onLost: (reason: string) => void
  /** Called when changes are received again. */
  readonly onBack: () => void
}

const timeoutMs = 3_000
const checkIntervalMs = 10_000
const pauseMs = 1_000

/** Receives every change from start() to close(), in commit order, and reports when it may have missed some. */
export class ChangeFollower {
  readonly #options: ChangeFollowerOptions
  readonly #parts: ChangeFollowerParts
  readonly #closing = new AbortController()
  #session: ListenSession | undefined
  #running: Promise<void> | undefined

  constructor(options: ChangeFollowerOptions, parts: ChangeFollowerParts) {
    this.#options = options
    this.#parts = parts
  }

  /** Starts. Rejects if changes cannot be received. After a later loss, it reconnects. */
  async start(): Promise<void> {
    this.#session = await this.#open()
    this.#running = this.#run()
  }

  /** Stops. Nothing is called afterwards. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  /**
   * Resolves when every change that was visible in the database at the time of the call has been received. To show
   * that, checks that changes are announced, and waits for the round trip of an echo. (An in-band probe would show it
   * only for acknowledged changes: a commit is visible a moment before its listeners are notified.) Rejects if it
   * cannot be shown.
   */
  caughtUp(): Promise<void> {
    return this.#session ? this.#hear(this.#session) : Promise.reject(new Error('no change feed'))
  }

  async #run(): Promise<void> {
    const { database, onLost, onBack } = this.#parts
    while (this.#session) {
      const reason = await this.#untilLost(this.#session)
      this.#session.destroy()
      this.#session = undefined
      if (this.#closing.signal.aborted) return
      onLost(reason)
      this.#session = await this.#reopen(database)
      if (this.#session) onBack()
    }
  }

  /** Opens a new session, and retries until that succeeds. Resolves to undefined if it was closed meanwhile. */
  async #reopen(database: Database): Promise<ListenSession | undefined> {
    for (;;) {
      await sleep(pauseMs, undefined, { signal: this.#closing.signal }).catch(() => undefined)
      if (this.#closing.signal.aborted) return undefined
      // Existing connections may lead to a server that is no longer the primary.
      database.renew()
      const session = await this.#open().catch(() => undefined)
      if (session) return session
    }
  }

  async #open(): Promise<ListenSession> {
    const session: ListenSession = new ListenSession({
      url: this.#options.listenUrl,
      connectTimeoutMs: timeoutMs,
      onNotification: (payload) => {
        // Changes that arrive before the session has been checked are ignored. Nobody counts on them.
        if (session === this.#session) decodeChanges(payload).forEach(this.#parts.onChange)
      },
    })
    try {
      await withTimeout(timeoutMs, listen(session), 'LISTEN was not answered')
      await this.#hear(session)
      return session
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  /** Waits until the session is lost. Resolves to the reason. */
  async #untilLost(session: ListenSession): Promise<string> {
    try {
      return await Promise.race([session.lost, this.#check(session)])
    } catch (error) {
      return messageOf(error)
    }
  }

  /** Checks the session regularly, and rejects if it is silent or deaf. Resolves when the follower is closed. */
  async #check(session: ListenSession): Promise<string> {
    const { signal } = this.#closing
    for (;;) {
      await sleep(checkIntervalMs, undefined, { signal }).catch(() => undefined)
      if (signal.aborted || session !== this.#session) return 'closed'
      await this.#hear(session)
    }
  }

  async #hear(session: ListenSession): Promise<void> {
    await withTimeout(
      timeoutMs,
      inspectTable(session.query.bind(session)),
      'the listening connection is silent',
    )
    await echo(this.#parts.database, session, timeoutMs)
  }
}

async function listen(session: ListenSession): Promise<void> {
  await session.open()
  const { channel } = await inspectTable(session.query.bind(session))
  await session.listen(channel)
}
