import { Socket } from 'node:net'
import pg from 'pg'
import pgListen from 'pg-listen'
import { PublicError } from '../../core/errors.js'
import { type ConnectionSettings, connectionSettings } from '../pool/connection.js'
import { refusesSettings } from '../pool/errors.js'

export interface ListenSessionOptions {
  readonly url: string
  readonly connectTimeoutMs: number
  /** Time that the server waits for the client to acknowledge what it has sent, before it ends the session (10 s). */
  readonly unreadTimeoutMs?: number
  /** Called with the payload of each notification on the channel, in commit order. */
  readonly onNotification: (payload: string | undefined) => void
}

const createSubscriber = pgListen.default
const placeholder = 'statement'

type Subscriber = ReturnType<typeof createSubscriber>

/**
 * One listening connection, until it is lost. A new connection needs a new session. pg-listen's own reconnecting is
 * switched off: it reports success before LISTEN is in force again, and a link that dies during the repeated LISTEN can
 * stay dead.
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
  /** SQL that the connection sends in place of the placeholder. */
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
    // idle_session_timeout: the server's own setting may be shorter than the pause between two probes.
    // tcp_user_timeout: a listener that does not read (its process is frozen, or its machine is gone) prevents the
    // server from emptying its notification queue.
    const { unreadTimeoutMs = 10_000 } = options
    this.#subscriber = this.#newSubscriber({
      options: `-c idle_session_timeout=0 -c tcp_user_timeout=${unreadTimeoutMs}`,
    })
  }

  /** Channel that the session listens on. Throws before `listen` has been called. */
  get channel(): string {
    if (this.#channel === undefined) throw new Error('the session does not listen yet')
    return this.#channel
  }

  /** Connects. Resolves when the connection is established. */
  async open(): Promise<void> {
    try {
      await this.#subscriber.connect()
    } catch (error) {
      if (!refusesSettings(error) || this.#isDestroyed) throw error
      // There is a pooler in between. The echo will show whether notifications pass through it, as they do in session
      // mode.
      this.#subscriber.close().catch(() => undefined)
      this.#subscriber = this.#newSubscriber({})
      await this.#subscriber.connect()
    }
  }

  /** Sends LISTEN. Resolves when it has been acknowledged. Must be called only once. */
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
   * Runs SQL without parameters on the listening connection, one call after the other. PostgreSQL delivers pending
   * notifications before it answers. So when this resolves, every change that was acknowledged before the call has been
   * passed to `onNotification`.
   *
   * pg-listen does not expose its client, but accepts a connection, through which it sends simple queries. So `query`
   * asks pg-listen for a NOTIFY on the channel `placeholder`, the connection sends the statement instead, and the
   * promise of the NOTIFY resolves to the result of the statement.
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

  /** Creates a subscriber. `settings.options` are startup options of the session; those in the URL take precedence. */
  #newSubscriber(settings: { readonly options?: string }): Subscriber {
    const { config: ofUrl, attach } = connectionSettings(this.#options.url)
    const config = {
      // cache_bind() refuses while sidecars that do not know bindings listen; theirs is 'caching-layer feed'.
      application_name: 'caching-layer changes',
      connectionTimeoutMillis: this.#options.connectTimeoutMs,
      ...settings,
      ...ofUrl,
      // Remembered, because a socket whose other end is gone must be destroyed: pg would wait for it.
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

  /**
   * Creates the connection that pg would create for this configuration, including TLS, and replaces the placeholder in
   * it.
   */
  #newConnection(config: pg.ClientConfig, attach: ConnectionSettings['attach']): pg.Connection {
    const { connection } = new pg.Client(config) as pg.Client & { readonly connection: pg.Connection }
    attach(connection)
    const send = connection.query.bind(connection)
    connection.query = (text) => send(text === `NOTIFY ${placeholder}` ? this.#statement : text)
    return connection
  }

  /**
   * Resolves to true if any notification arrives within this time. If so, LISTEN has been in force until that moment.
   */
  receivesAny(withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (isReceived: boolean) => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        resolve(isReceived)
      }
      const wake = () => done(true)
      const timer = setTimeout(() => done(false), withinMs)
      this.#waiting.add(wake)
    })
  }

  /** Resolves when a notification with exactly this payload has arrived, unless `forget` is called before. */
  received(payload: string): Promise<void> {
    return new Promise((resolve) => this.#expected.set(payload, resolve))
  }

  forget(payload: string): void {
    this.#expected.delete(payload)
  }

  /** Closes the connection immediately, in any state. */
  destroy(): void {
    this.#isDestroyed = true
    if (this.#channel !== undefined) this.#subscriber.notifications.removeAllListeners(this.#channel)
    this.#subscriber.close().catch(() => undefined)
    for (const socket of this.#sockets) socket.destroy()
  }
}
