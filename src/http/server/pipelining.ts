import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { requestBytes } from './request-bytes.js'

/** Undocumented members of Node's sockets. */
interface SocketInternals {
  /** Response in progress. */
  readonly _httpMessage?: ServerResponse | null
  readonly parser?: {
    readonly incoming?: IncomingMessage | null
    /** Called for each request whose headers are complete. */
    onIncoming?: ((request: IncomingMessage) => number) | null
  } | null
}

/** Result of `onIncoming` after which the parser reads nothing more, as after CONNECT. */
const stopParsing = 2

export interface PipeliningOptions {
  /** Handles a request when its turn has come. */
  readonly listener: RequestListener
  /** Maximum memory of the waiting requests of all connections, in bytes. */
  readonly maxBytes: number
  /** Called when a connection is closed because of that maximum. */
  readonly onExcess: () => void
}

interface Waiting {
  count: number
  bytes: number
  last: ServerResponse | undefined
}

/**
 * Handles the requests of a connection one after another, each after the response to the one before, as nginx and Go
 * do. Node begins all requests that it has received at once, and only puts the responses in order:
 *
 * 1. A client sends SET and GET of one key in one go.
 * 2. SET waits for the database. GET is answered from memory, with the old value.
 * 3. The client receives the response to SET, and then a value older than what it wrote.
 *
 * While requests wait, nothing more is read from the connection: requests would pile up in memory. What has been read
 * already is up to 64 KiB per connection, and Node makes objects of 100 times that size of the shortest requests. So
 * the memory of all of them is bounded, and the connection that exceeds it is closed.
 */
export class Pipelining {
  readonly #listener: RequestListener
  readonly #maxBytes: number
  readonly #onExcess: () => void
  /** Memory of the waiting requests of all connections. */
  #bytes = 0
  /** Number and memory of the waiting requests of each connection, and the response to the last of them. */
  readonly #waiting = new WeakMap<Socket, Waiting>()
  /** Connections that have sent something that cannot be parsed. */
  readonly #broken = new WeakMap<Socket, () => void>()

  constructor({ listener, maxBytes, onExcess }: PipeliningOptions) {
    this.#listener = listener
    this.#maxBytes = maxBytes
    this.#onExcess = onExcess
  }

  begin(request: IncomingMessage, response: ServerResponse): void {
    // Node assigns the socket to the oldest unfinished response, and then to the next one.
    if (response.socket !== null) this.#listener(request, response)
    else this.#wait(request, response)
  }

  #wait(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    if (socket.destroyed) return
    const bytes = requestBytes(request)
    if (this.#bytes + bytes > this.#maxBytes) {
      this.#exceeded(socket)
      return
    }
    const waiting = this.#waitingOf(socket)
    waiting.count++
    // Not at once, because Node resumes the connection when it has parsed the request.
    process.nextTick(() => socket.pause())
    waiting.last = response
    waiting.bytes += bytes
    this.#bytes += bytes
    // In a turn of its own, because a thousand hits in a row would otherwise nest a thousand calls.
    response.once('socket', () => {
      setImmediate(() => {
        if (socket.destroyed) return
        waiting.bytes -= bytes
        this.#bytes -= bytes
        if (--waiting.count === 0) {
          waiting.last = undefined
          socket.resume()
        }
        const refuse = this.#broken.get(socket)
        if (refuse && !request.complete) refuse()
        else this.#listener(request, response)
      })
    })
  }

  #waitingOf(socket: Socket): Waiting {
    const known = this.#waiting.get(socket)
    if (known) return known
    const waiting: Waiting = { count: 0, bytes: 0, last: undefined }
    this.#waiting.set(socket, waiting)
    socket.once('close', () => {
      this.#bytes -= waiting.bytes
    })
    return waiting
  }

  /** Closes a connection whose requests find no room. Those that the parser has not come to are not made. */
  #exceeded(socket: Socket): void {
    const { parser } = socket as SocketInternals
    if (parser) parser.onIncoming = () => stopParsing
    socket.destroy()
    this.#onExcess()
  }

  /**
   * Responds with `text` to a request that cannot be parsed, and closes the connection. Waits for its turn, so that the
   * client does not mistake the text for the response to an earlier request.
   */
  refuse(socket: Socket, text: string): void {
    if (this.#broken.has(socket)) return
    const refuse = () => {
      if (socket.writable) socket.write(text)
      socket.destroySoon()
    }
    this.#broken.set(socket, refuse)
    const { _httpMessage: current, parser } = socket as SocketInternals
    const last = this.#waiting.get(socket)?.last ?? current
    // If the last request is complete, the one after it cannot be parsed. Otherwise the error is in the body of this
    // one. `prepend`: Node's own listener ends the connection if the client has sent its FIN meanwhile.
    if (last?.req.complete) last.prependOnceListener('finish', () => last.shouldKeepAlive && refuse())
    else if (last?.headersSent) socket.destroy()
    // The request was refused before its body had arrived. A second response would be taken for that to another
    // request.
    else if (last == null && parser?.incoming?.complete === false) socket.destroySoon()
    else if (last === current) refuse()
  }
}
