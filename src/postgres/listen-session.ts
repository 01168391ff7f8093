import { randomBytes } from 'node:crypto'
import { Socket } from 'node:net'
import pgListen from 'pg-listen'

export interface ListenSessionOptions {
  readonly url: string
  readonly channel: string
  readonly connectTimeoutMs: number
  /** Called with the payload of each notification on `channel`, in commit order. */
  readonly onNotification: (payload: string | undefined) => void
}

const createSubscriber = pgListen.default

/**
 * One connection that listens, from its beginning to its loss; a new one takes a new session. pg-listen's
 * own reconnecting is switched off: it announces an attempt before LISTEN is in force again, and a link that
 * dies while it re-LISTENs can stay dead.
 */
export class ListenSession {
  /** Rejects when the connection is lost; never resolves. */
  readonly lost: Promise<never>
  readonly #options: ListenSessionOptions
  readonly #subscriber
  readonly #sockets = new Set<Socket>()
  readonly #name = `caching_layer_${randomBytes(8).toString('hex')}`
  readonly #expected = new Map<string, () => void>()

  constructor(options: ListenSessionOptions) {
    this.#options = options
    this.#subscriber = createSubscriber(
      {
        connectionString: options.url,
        application_name: 'caching-layer feed',
        connectionTimeoutMillis: options.connectTimeoutMs,
        // Held on to, because a socket whose other end is gone must be destroyed; pg would wait for it.
        stream: () => {
          const socket = new Socket()
          this.#sockets.add(socket)
          return socket
        },
      },
      { retryLimit: 1, paranoidChecking: false, parse: (payload) => payload },
    )
    this.lost = new Promise((_resolve, reject) => {
      // pg-listen's own error says only that it does not reconnect.
      this.#subscriber.events.on('error', () => reject(new Error('the listening connection was lost')))
    })
    this.lost.catch(() => undefined)
  }

  /** Resolves when LISTEN has been acknowledged. */
  async open(): Promise<void> {
    const { notifications } = this.#subscriber
    notifications.on(this.#options.channel, this.#options.onNotification)
    notifications.on(this.echoChannel, (payload: string) => {
      this.#expected.get(payload)?.()
      this.#expected.delete(payload)
    })
    await this.#subscriber.connect()
    await this.#subscriber.listenTo(this.#options.channel)
    await this.#subscriber.listenTo(this.echoChannel)
  }

  /**
   * Asks in band. PostgreSQL delivers the notifications that are pending before it answers, so when this
   * resolves, everything acknowledged before it was called has been handed over. It takes no transaction
   * id and wakes nobody.
   */
  async probe(): Promise<void> {
    const channel = `${this.#name}_probe`
    await this.#subscriber.listenTo(channel)
    await this.#subscriber.unlisten(channel)
  }

  /** A channel of this session's own. */
  get echoChannel(): string {
    return `${this.#name}_echo`
  }

  /** Resolves when `payload` has come in on the echo channel. */
  heard(payload: string): Promise<void> {
    return new Promise((resolve) => this.#expected.set(payload, resolve))
  }

  /** Ends the connection at once, whatever state it is in. */
  destroy(): void {
    this.#subscriber.notifications.removeAllListeners(this.#options.channel)
    this.#subscriber.close().catch(() => undefined)
    for (const socket of this.#sockets) socket.destroy()
  }
}
