import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** What Node's sockets know of their requests, and no documentation mentions. */
interface SocketInternals {
  /** The response that is being answered. */
  readonly _httpMessage?: ServerResponse | null
  readonly parser?: { readonly incoming?: IncomingMessage | null } | null
}

/**
 * Begins the requests of a connection one after another, each when the one before has been answered, as nginx and Go do.
 * Node begins all that it has received, and sorts the responses:
 *
 * 1. A client sends SET and GET of one key in one go.
 * 2. SET waits for the database. GET is answered from memory, with the old value.
 * 3. The client receives the response to SET, and then a value older than what it wrote.
 *
 * While requests wait, no more is read from the connection: they would pile up in memory.
 */
export class Pipelining {
  readonly #listener: RequestListener
  /** How many requests wait, and the response to the last of them. */
  readonly #waiting = new WeakMap<Socket, { count: number; last: ServerResponse }>()
  /** Connections that have sent what cannot be parsed. */
  readonly #broken = new WeakMap<Socket, () => void>()

  constructor(listener: RequestListener) {
    this.#listener = listener
  }

  begin(request: IncomingMessage, response: ServerResponse): void {
    // Node gives the socket to the oldest response that is not finished, and to the next one after that.
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
    // In a turn of its own: a thousand hits in a row would otherwise be a thousand calls deep.
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
   * Answers what cannot be parsed with `text`, and closes the connection: in its turn, so that the client does not take it for
   * the response to an earlier request.
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
    // Complete: the next request is the one that cannot be parsed. Otherwise it is this one, in the middle of its body.
    // Before Node's own listener, which ends the connection if the client has sent its FIN meanwhile.
    if (last?.req.complete) last.prependOnceListener('finish', () => last.shouldKeepAlive && refuse())
    else if (last?.headersSent) socket.destroy()
    // It was refused before its body had come: a second response would be taken for that to another request.
    else if (last == null && parser?.incoming?.complete === false) socket.destroySoon()
    else if (last === current) refuse()
  }
}
