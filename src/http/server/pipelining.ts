import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Undocumented members of Node's sockets. */
interface SocketInternals {
  /** Response in progress. */
  readonly _httpMessage?: ServerResponse | null
  readonly parser?: { readonly incoming?: IncomingMessage | null } | null
}

/**
 * Handles the requests of a connection one after another, each after the response to the one before, as nginx and Go
 * do. Node begins all requests that it has received at once, and only puts the responses in order:
 *
 * 1. A client sends SET and GET of one key in one go.
 * 2. SET waits for the database. GET is answered from memory, with the old value.
 * 3. The client receives the response to SET, and then a value older than what it wrote.
 *
 * While requests wait, nothing more is read from the connection: requests would pile up in memory.
 */
export class Pipelining {
  readonly #listener: RequestListener
  /** Number of waiting requests of each connection, and the response to the last of them. */
  readonly #waiting = new WeakMap<Socket, { count: number; last: ServerResponse }>()
  /** Connections that have sent something that cannot be parsed. */
  readonly #broken = new WeakMap<Socket, () => void>()

  constructor(listener: RequestListener) {
    this.#listener = listener
  }

  begin(request: IncomingMessage, response: ServerResponse): void {
    // Node assigns the socket to the oldest unfinished response, and then to the next one.
    if (response.socket !== null) this.#listener(request, response)
    else this.#wait(request, response)
  }

  #wait(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    const waiting = this.#waiting.get(socket) ?? { count: 0, last: response }
    waiting.count++
    waiting.last = response
    this.#waiting.set(socket, waiting)
    socket.pause()
    // In a turn of its own, because a thousand hits in a row would otherwise nest a thousand calls.
    response.once('socket', () => {
      setImmediate(() => {
        if (--waiting.count === 0) {
          this.#waiting.delete(socket)
          socket.resume()
        }
        if (socket.destroyed) return
        const refuse = this.#broken.get(socket)
        if (refuse && !request.complete) refuse()
        else this.#listener(request, response)
      })
    })
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
