import { createServer, type RequestListener, Server, type ServerOptions } from 'node:http'
import { Server as NetServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface HttpServerOptions {
  readonly host: string
  readonly port: number
  readonly listener: RequestListener
  /** How long an idle connection stays open while closing, for the request that may be on its way. */
  readonly idleGraceMs: number
}

const idleCheckMs = 50

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
  #closing: Promise<number> | undefined

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

  /**
   * Takes no new connections, answers what comes on those there are, and resolves when all are closed: to how many
   * had to be cut off, because their request or its answer was not complete after `timeoutMs`. Idempotent.
   */
  close(timeoutMs: number): Promise<number> {
    this.#closing ??= this.#close(timeoutMs)
    return this.#closing
  }

  async #close(timeoutMs: number): Promise<number> {
    const deadlineMs = performance.now() + timeoutMs
    let cut = 0
    let open = true
    const closed = new Promise<void>((resolve) => {
      // Not http.Server's own close: it cuts idle connections at once, and with them the request that a
      // client is sending at that moment.
      NetServer.prototype.close.call(this.#server, () => {
        open = false
        resolve()
      })
    })
    await Promise.race([closed, sleep(Math.min(this.#options.idleGraceMs, timeoutMs))])
    while (open) {
      this.#server.closeIdleConnections()
      const leftMs = deadlineMs - performance.now()
      if (leftMs <= 0) {
        cut += await this.#connections()
        this.#server.closeAllConnections()
      }
      await Promise.race([closed, sleep(Math.min(idleCheckMs, Math.max(leftMs, 1)))])
    }
    Server.prototype.close.call(this.#server)
    return cut
  }

  #connections(): Promise<number> {
    return new Promise((resolve) => {
      this.#server.getConnections((_error, count) => resolve(count ?? 0))
    })
  }
}
