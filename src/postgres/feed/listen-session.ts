import { Socket } from 'node:net'
import pg from 'pg'
import pgListen from 'pg-listen'
import { PublicError } from '../../core/errors.js'
import { type ConnectionSettings, connectionSettings } from '../pool/connection.js'
import { refusesSettings } from '../pool/errors.js'

export interface ListenSessionOptions {
  readonly url: string
  readonly connectTimeoutMs: number
  /** How long the server waits for what it sent to be read, before it ends the session (10 s). */
  readonly unreadTimeoutMs?: number
  /** Called with the payload of each notification on the channel, in commit order. */
  readonly onNotification: (payload: string | undefined) => void
}

const createSubscriber = pgListen.default
const placeholder = 'statement'

type Subscriber = ReturnType<typeof createSubscriber>

/**
 * One connection that listens, from its beginning to its loss; a new one takes a new session. pg-listen's
 * own reconnecting is switched off: it announces an attempt before LISTEN is in force again, and a link that
 * dies while it re-LISTENs can stay dead.
 */
export class ListenSession {
  /** Rejects when the connection is lost; never resolves. */
  readonly lost: Promise<never>
  readonly #options: ListenSessionOptions
  readonly #sockets = new Set<Socket>()
  readonly #expected = new Map<string, () => void>()
  readonly #waiting = new Set<() => void>()
  #running: Promise<unknown> = Promise.resolve()
  #subscriber: Subscriber
  #channel: string | undefined
  /** What the connection sends in place of the placeholder. */
  #statement = ''
  #isDestroyed = false
  #onLost: () => void = () => undefined

  constructor(options: ListenSessionOptions) {
    this.#options = options
    this.lost = new Promise((_resolve, reject) => {
      // pg-listen's own error says only that it does not reconnect.
      this.#onLost = () => reject(new PublicError('the listening connection was lost'))
    })
    this.lost.catch(() => undefined)
    // The server's idle_session_timeout may be shorter than the pause between two probes. A listener that does not read
    // (its process is frozen, its machine gone) keeps the notification queue of the whole server from being emptied.
    const { unreadTimeoutMs = 10_000 } = options
    this.#subscriber = this.#newSubscriber({
      options: `-c idle_session_timeout=0 -c tcp_user_timeout=${unreadTimeoutMs}`,
    })
  }

  /** Throws before `listen`. */
  get channel(): string {
    if (this.#channel === undefined) throw new Error('the session does not listen yet')
    return this.#channel
  }

  /** Resolves when there is a connection. */
  async open(): Promise<void> {
    try {
      await this.#subscriber.connect()
    } catch (error) {
      if (!refusesSettings(error) || this.#isDestroyed) throw error
      // A pooler. Whether notifications come through it (they do where its sessions are its clients') will be seen.
      this.#subscriber.close().catch(() => undefined)
      this.#subscriber = this.#newSubscriber({})
      await this.#subscriber.connect()
    }
  }

  /** Resolves when LISTEN has been acknowledged. Once. */
  async listen(channel: string): Promise<void> {
    this.#channel = channel
    this.#subscriber.notifications.on(channel, (payload: string | undefined) => {
      for (const wake of this.#waiting) wake()
      if (payload !== undefined) this.#expected.get(payload)?.()
      this.#options.onNotification(payload)
    })
    await this.#subscriber.listenTo(channel)
  }

  /**
   * Runs SQL without parameters on this very connection, one call after the other. PostgreSQL delivers the notifications
   * that are pending before it answers, so when this resolves, everything acknowledged before it was called has been handed
   * over.
   *
   * pg-listen keeps its client to itself, but sends what it is told to as simple queries through a connection that may be
   * given to it. A NOTIFY on the channel `placeholder` is exchanged for the statement there, and its promise is the client's.
   */
  query<Row>(sql: string): Promise<readonly Row[]> {
    const run = async () => {
      this.#statement = sql
      const result = (await this.#subscriber.notify(placeholder)) as unknown as {
        readonly rows: readonly Row[]
      }
      return result.rows
    }
    const running = this.#running.then(run, run)
    this.#running = running.catch(() => undefined)
    return running
  }

  /** `settings.options`: what the session begins with. A URL with options of its own keeps those instead. */
  #newSubscriber(settings: { readonly options?: string }): Subscriber {
    const { config: ofUrl, attach } = connectionSettings(this.#options.url)
    const config = {
      application_name: 'caching-layer feed',
      connectionTimeoutMillis: this.#options.connectTimeoutMs,
      ...settings,
      ...ofUrl,
      // Held on to, because a socket whose other end is gone must be destroyed; pg would wait for it.
      stream: () => {
        const socket = new Socket()
        this.#sockets.add(socket)
        return socket
      },
    }
    const subscriber = createSubscriber(
      { ...config, connection: this.#newConnection(config, attach) } as pg.ClientConfig,
      { retryLimit: 1, paranoidChecking: false, parse: (payload) => payload },
    )
    subscriber.events.on('error', () => {
      if (subscriber === this.#subscriber) this.#onLost()
    })
    return subscriber
  }

  /** As pg itself makes one for this configuration, TLS and all. */
  #newConnection(config: pg.ClientConfig, attach: ConnectionSettings['attach']): pg.Connection {
    const { connection } = new pg.Client(config) as pg.Client & { readonly connection: pg.Connection }
    attach(connection)
    const send = connection.query.bind(connection)
    connection.query = (text) => send(text === `NOTIFY ${placeholder}` ? this.#statement : text)
    return connection
  }

  /** Resolves to whether a notification, any, comes in within so long. Then LISTEN has been in force until now. */
  hears(withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (isHeard: boolean) => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        resolve(isHeard)
      }
      const wake = () => done(true)
      const timer = setTimeout(() => done(false), withinMs)
      this.#waiting.add(wake)
    })
  }

  /** Resolves when this very payload has come in, unless `forget` was called. */
  heard(payload: string): Promise<void> {
    return new Promise((resolve) => this.#expected.set(payload, resolve))
  }

  forget(payload: string): void {
    this.#expected.delete(payload)
  }

  /** Ends the connection at once, whatever state it is in. */
  destroy(): void {
    this.#isDestroyed = true
    if (this.#channel !== undefined) this.#subscriber.notifications.removeAllListeners(this.#channel)
    this.#subscriber.close().catch(() => undefined)
    for (const socket of this.#sockets) socket.destroy()
  }
}
