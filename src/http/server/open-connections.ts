import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { ConnectionLimits } from './connection-limits.js'

type OpenConnectionsLimits = Pick<
  ConnectionLimits,
  'maxConnections' | 'evicts' | 'readTimeoutMs' | 'checkIntervalMs'
>

/** Connections that the listener closed of its own accord, by reason. */
export interface ClosedConnections {
  /** Refused at once: as many were open as may be, and none could be closed for it. */
  full: number
  /** Closed to make room for a new one. */
  evicted: number
  /** Closed because the client took nothing of its response. */
  unread: number
  /** Closed with the 401 or 421 that was the first response on them. */
  turned_away: number
}

/** What the last look at a connection found. */
interface Seen {
  bytesRead: number
  unsentBytes: number
  /** Looks in a row that found as much unsent. */
  unsentLooks: number
}

/** The part of Node's sockets that is in no documentation; nothing else tells what is looked for. */
interface SocketInternals {
  /** The response that is being answered; null between requests. */
  readonly _httpMessage?: ServerResponse | null
  /** Its `writeQueueSize` shrinks while one large write goes out, which nothing public does. */
  readonly _handle?: { readonly writeQueueSize?: number } | null
}

/**
 * All open connections of a listener. Makes room for a new one by closing the one that has been idle longest, and cuts off
 * clients that do not read their responses, which would otherwise stay in memory for as long as they like.
 *
 * A request costs nothing here: connections are looked at once per interval. So their order, which is that of their last
 * activity, is as exact as the interval.
 */
export class OpenConnections {
  readonly #limits: OpenConnectionsLimits
  /** The one that has been inactive longest comes first. */
  readonly #sockets = new Map<Socket, Seen>()
  readonly #onFull: () => void
  readonly closed: ClosedConnections = { full: 0, evicted: 0, unread: 0, turned_away: 0 }
  #interval: NodeJS.Timeout | undefined

  constructor(limits: OpenConnectionsLimits, onFull: () => void) {
    this.#limits = limits
    this.#onFull = onFull
  }

  /** Adds a new connection, or destroys it if there is no room. */
  add(socket: Socket): void {
    const { maxConnections, checkIntervalMs } = this.#limits
    if (this.#sockets.size >= maxConnections) {
      this.#onFull()
      if (!this.#evict()) {
        this.closed.full++
        socket.destroy()
        return
      }
    }
    this.#sockets.set(socket, { bytesRead: 0, unsentBytes: 0, unsentLooks: 0 })
    socket.once('close', () => this.#sockets.delete(socket))
    this.#interval ??= setInterval(() => this.#look(), checkIntervalMs).unref()
  }

  close(): void {
    clearInterval(this.#interval)
    this.#interval = undefined
  }

  /** Returns false if there is none that may be closed. */
  #evict(): boolean {
    let chosen: Socket | undefined
    for (const socket of this.#sockets.keys()) {
      if (isIdle(socket)) {
        chosen = socket
        break
      }
      if (this.#limits.evicts === 'any') chosen ??= socket
    }
    if (chosen === undefined) return false
    this.closed.evicted++
    // Not only at its 'close' event: the next connection may come before that.
    this.#sockets.delete(chosen)
    chosen.destroy()
    return true
  }

  #look(): void {
    const { readTimeoutMs, checkIntervalMs } = this.#limits
    for (const [socket, seen] of this.#sockets) {
      if (socket.bytesRead !== seen.bytesRead) {
        seen.bytesRead = socket.bytesRead
        this.#sockets.delete(socket)
        this.#sockets.set(socket, seen)
      }
      const unsentBytes = unsentBytesOf(socket)
      if (unsentBytes === 0 || unsentBytes !== seen.unsentBytes) {
        seen.unsentBytes = unsentBytes
        seen.unsentLooks = 0
        // Looks and not time: after a turn that took long, the client has not had its chance yet.
      } else if (++seen.unsentLooks * checkIntervalMs >= readTimeoutMs) {
        this.closed.unread++
        this.#sockets.delete(socket)
        socket.destroy()
      }
    }
  }
}

/** True between requests, and before the headers of one are complete. */
function isIdle(socket: Socket): boolean {
  return !(socket as SocketInternals)._httpMessage
}

function unsentBytesOf(socket: Socket): number {
  if (socket.writableLength === 0) return 0
  return socket.writableLength + ((socket as SocketInternals)._handle?.writeQueueSize ?? 0)
}
