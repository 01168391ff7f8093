import type { Socket } from 'node:net'
import type { ConnectionLimits } from './connection-limits.js'

type SlowReadersLimits = Pick<ConnectionLimits, 'readTimeoutMs' | 'idleTimeoutMs' | 'checkIntervalMs'>

/**
 * Cuts off clients that ask and do not read: their answers would stay in memory for as long as they like. A timer for every
 * write is what a hit should not pay, so sockets are looked at now and then, and those that have something unsent
 * get Node's inactivity timer, which knows of progress within one large write.
 */
export class SlowReaders {
  readonly #limits: SlowReadersLimits
  readonly #sockets = new Set<Socket>()
  readonly #watched = new Set<Socket>()
  #interval: NodeJS.Timeout | undefined

  constructor(limits: SlowReadersLimits) {
    this.#limits = limits
  }

  add(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#watched.delete(socket)
    })
    this.#interval ??= setInterval(() => this.#look(), this.#limits.checkIntervalMs).unref()
  }

  close(): void {
    clearInterval(this.#interval)
    this.#interval = undefined
  }

  /** The HTTP server destroys a socket whose timer has run out. */
  #look(): void {
    const { readTimeoutMs, idleTimeoutMs } = this.#limits
    for (const socket of this.#sockets) {
      const hasUnsent = socket.writableLength > 0
      if (hasUnsent === this.#watched.has(socket)) continue
      if (hasUnsent) this.#watched.add(socket)
      else this.#watched.delete(socket)
      socket.setTimeout(hasUnsent ? readTimeoutMs : idleTimeoutMs)
    }
  }
}
