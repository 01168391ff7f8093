import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { ConnectionLimits } from './connection-limits.js'

type OpenConnectionsLimits = Pick<
  ConnectionLimits,
  'maxConnections' | 'evicts' | 'readTimeoutMs' | 'checkIntervalMs'
>

/** Number of connections that the listener closed on its own initiative, by reason. */
export interface ClosedConnections {
  /** Refused because the maximum was reached, and no other connection could be closed for it. */
  full: number
  /** Closed to make room for a new one. */
  evicted: number
  /** Closed because the client did not read its response. */
  unread: number
  /** Closed because the first response on them was a 401 or 421. */
  turned_away: number
  /** Closed because too many requests of all connections waited for the response to an earlier one. */
  pipelined: number
}

/** State of a connection at its last check. */
interface Seen {
  bytesRead: number
  unsentBytes: number
  /** Number of checks in a row at which `unsentBytes` was the same. */
  unsentLooks: number
}

/** Undocumented members of Node's sockets. There is no documented way to get this information. */
interface SocketInternals {
  /** Response in progress; null between requests. */
  readonly _httpMessage?: ServerResponse | null
  /** Handle whose `writeQueueSize` shrinks while one large write is sent. No public property does. */
  readonly _handle?: { readonly writeQueueSize?: number } | null
}

/**
 * Open connections of a listener. Closes the one that has been idle longest if there is no room for a new one.
 * Disconnects clients that do not read their responses, which would otherwise stay in memory indefinitely.
 *
 * A request costs nothing here, because connections are only checked once per interval. So their order, which is that
 * of their last activity, is only as precise as the interval.
 */
export class OpenConnections {
  readonly #limits: OpenConnectionsLimits
  /** Open sockets. The one that has been inactive longest comes first. */
  readonly #sockets = new Map<Socket, Seen>()
  readonly #onFull: () => void
  readonly closed: ClosedConnections = { full: 0, evicted: 0, unread: 0, turned_away: 0, pipelined: 0 }
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

  /** Closes a connection to make room. Returns false if there is none that may be closed. */
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
    // Deleted here already, because the next connection may come before the 'close' event.
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
        // Checks are counted, not time: after a long turn of the event loop, the client has had no chance to read yet.
      } else if (++seen.unsentLooks * checkIntervalMs >= readTimeoutMs) {
        this.closed.unread++
        this.#sockets.delete(socket)
        socket.destroy()
      }
    }
  }
}

/** Returns true between requests, and until the headers of one are complete. */
function isIdle(socket: Socket): boolean {
  return !(socket as SocketInternals)._httpMessage
}

function unsentBytesOf(socket: Socket): number {
  if (socket.writableLength === 0) return 0
  return socket.writableLength + ((socket as SocketInternals)._handle?.writeQueueSize ?? 0)
}
