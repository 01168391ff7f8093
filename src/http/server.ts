import { createServer, type RequestListener, Server, type ServerOptions } from 'node:http'
import { Server as NetServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface HttpServerOptions {
  readonly host: string
  readonly port: number
  readonly listener: RequestListener
}

/** How long an idle connection stays open while closing, for the request that may be on its way. */
const idleGraceMs = 500
const idleCheckMs = 50
/** When whoever has not sent or taken the rest by then is cut off. */
const closeTimeoutMs = 10_000

/**
 * Idle connections stay: a client that reuses one just as we close it sees its request fail. That saves two
 * timers per request, too; and where Node knows `optimizeEmptyRequests` (24 and later), a request without a body
 * costs no stream.
 */
const serverOptions: ServerOptions & { readonly optimizeEmptyRequests: true } = {
  keepAliveTimeout: 0,
  optimizeEmptyRequests: true,
}

/** A listener that can be closed without failing a request that it has accepted. */
export class HttpServer {
  readonly #options: HttpServerOptions
  readonly #server: Server
  #closing: Promise<void> | undefined

  constructor(options: HttpServerOptions) {
    this.#options = options
    this.#server = createServer(serverOptions, (request, response) => {
      // The client is told not to send another request on this connection.
      if (this.#closing) response.shouldKeepAlive = false
      options.listener(request, response)
    })
  }

  /** The port in use, which differs from the one asked for when that was 0. */
  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : this.#options.port
  }

  listen(): Promise<void> {
    const { host, port } = this.#options
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
  }

  /** Takes no new connections, answers what comes on those there are, and resolves when all are closed. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    let open = true
    const closed = new Promise<void>((resolve) => {
      // Not http.Server's own close: it cuts idle connections at once, and with them the request that a
      // client is sending at that moment.
      NetServer.prototype.close.call(this.#server, () => {
        open = false
        resolve()
      })
    })
    await Promise.race([closed, sleep(idleGraceMs)])
    const deadlineMs = performance.now() + closeTimeoutMs
    while (open) {
      if (performance.now() < deadlineMs) this.#server.closeIdleConnections()
      else this.#server.closeAllConnections()
      await Promise.race([closed, sleep(idleCheckMs)])
    }
    Server.prototype.close.call(this.#server)
  }
}
