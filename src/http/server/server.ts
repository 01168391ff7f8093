import { createServer, type RequestListener, Server, type ServerOptions } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { type Problem, problemResponse } from '../routes/problem.js'
import { sendDirectly } from '../routes/response.js'
import {
  type ConnectionLimits,
  maxHeaderBytes,
  maxHeaders,
  maxUrlLength,
  tcpKeepAliveMs,
} from './connection-limits.js'
import { LargeHeaders, noRoomForHeaders } from './large-headers.js'
import { connectionsOf, type LoopbackListener, listenOn } from './loopback-listener.js'
import { type ClosedConnections, OpenConnections } from './open-connections.js'
import { closingResponse, parserProblem } from './parser-problem.js'
import { Pipelining } from './pipelining.js'
import { listenOnSocket } from './unix-socket.js'

/** Address of a listener. A Unix socket is created with mode 0660, and removed when the server closes. */
export type Address = { readonly host: string; readonly port: number } | { readonly socketPath: string }

export interface HttpServerOptions {
  readonly address: Address
  readonly listener: RequestListener
  readonly limits: ConnectionLimits
  /** Time that idle connections stay open during close, for requests that may be on their way. */
  readonly idleGraceMs: number
  /** Called for each new connection at the maximum, and for each one that cannot be accepted. */
  readonly onFull?: () => void
  /** Called for each connection that is closed because too many pipelined requests wait. */
  readonly onExcess?: () => void
}

const idleCheckMs = 50

const tooManyHeaders = problemResponse({
  status: 431,
  detail: `headers: more than ${maxHeaders}`,
  kind: 'headers-too-large',
})
const unknownExpectation = problemResponse({
  status: 417,
  detail: 'Expect: must be 100-continue',
  kind: 'unknown-expectation',
})
const noTunnel: Problem = { status: 405, detail: 'CONNECT is not allowed', kind: 'wrong-method' }
const tooLongUrl = problemResponse({
  status: 414,
  detail: `URL: longer than ${maxUrlLength} characters`,
  kind: 'url-too-long',
})

/**
 * HTTP listener that disconnects clients that are too slow, and closes without failing requests that it has accepted.
 */
export class HttpServer {
  readonly #options: HttpServerOptions
  readonly #server: Server
  readonly #connections: OpenConnections
  /** Listener on ::1, if the address is `localhost`. */
  #second: LoopbackListener | undefined
  #closing: Promise<number> | undefined

  constructor(options: HttpServerOptions) {
    this.#options = options
    const { listener, limits, onFull = () => undefined, onExcess } = options
    const connections = new OpenConnections(limits, onFull)
    this.#connections = connections
    const largeHeaders = new LargeHeaders(limits.maxWaitingBytes)
    const pipelining = new Pipelining({
      maxBytes: limits.maxWaitingBytes,
      onExcess: () => {
        connections.closed.pipelined++
        onExcess?.()
      },
      listener: (request, response) => {
        // Tells the client not to send another request on this connection.
        if (this.#closing) response.shouldKeepAlive = false
        if (request.rawHeaders.length > 2 * maxHeaders) return sendDirectly(response, tooManyHeaders)
        if ((request.url as string).length > maxUrlLength) return sendDirectly(response, tooLongUrl)
        if (!largeHeaders.admits(request, response)) return sendDirectly(response, noRoomForHeaders)
        listener(request, response)
      },
    })
    this.#server = createServer(serverOptions(limits), (request, response) =>
      pipelining.begin(request, response),
    )
    // A client that has sent its FIN may wait for its response.
    Object.assign(this.#server, { httpAllowHalfOpen: true })
    this.#server.on('connection', (socket) => this.#connections.add(socket))
    this.#server.on('checkExpectation', (_request, response) => sendDirectly(response, unknownExpectation))
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) =>
      pipelining.refuse(socket as Socket, parserProblem(error)),
    )
    // Without a listener, Node closes the connection without a response.
    this.#server.on('connect', (_request, socket) =>
      pipelining.refuse(socket as Socket, closingResponse(noTunnel)),
    )
  }

  /** Port in use. It differs from the configured one if that was 0. Always 0 on a Unix socket. */
  get port(): number {
    const listening = this.#server.address()
    if (typeof listening === 'object' && listening !== null) return listening.port
    return 'port' in this.#options.address ? this.#options.address.port : 0
  }

  /** Number of connections that this listener closed, by reason. */
  get closedConnections(): ClosedConnections {
    return this.#connections.closed
  }

  async listen(): Promise<void> {
    const { address, onFull = () => undefined } = this.#options
    if ('socketPath' in address) await listenOnSocket(this.#server, address.socketPath)
    else this.#second = await listenOn(this.#server, address)
    // Without this listener, an error of accept() would end the process. Before this point, it is one of listen().
    this.#server.on('error', onFull)
  }

  /**
   * Accepts no new connections, answers requests on the existing ones, and resolves when all are closed. Resolves to
   * the number of connections that had to be cut off because a request or its response was not complete after
   * `timeoutMs`. Idempotent.
   */
  close(timeoutMs: number): Promise<number> {
    this.#closing ??= this.#close(timeoutMs)
    return this.#closing
  }

  async #close(timeoutMs: number): Promise<number> {
    const deadlineMs = performance.now() + timeoutMs
    let cut = 0
    let open = true
    // net.Server's close, because http.Server's own closes idle connections at once, and with them a request that a
    // client is sending at that moment.
    const closing = [
      new Promise<unknown>((resolve) => NetServer.prototype.close.call(this.#server, resolve)),
      new Promise<void>((resolve) => (this.#second ? this.#second.close(resolve) : resolve())),
    ]
    const closed = Promise.all(closing).then(() => {
      open = false
    })
    await Promise.race([closed, sleep(Math.min(this.#options.idleGraceMs, timeoutMs))])
    while (open) {
      // In a turn of the event loop, timers come before what has arrived. A process that got no CPU time until the grace
      // was over would reset connections on which requests wait to be read.
      await setImmediate()
      this.#server.closeIdleConnections()
      const leftMs = deadlineMs - performance.now()
      if (leftMs <= 0) {
        cut += (await connectionsOf(this.#server)) + ((await this.#second?.connections()) ?? 0)
        this.#server.closeAllConnections()
      }
      await Promise.race([closed, sleep(Math.min(idleCheckMs, Math.max(leftMs, 1)))])
    }
    this.#connections.close()
    Server.prototype.close.call(this.#server)
    return cut
  }
}

/**
 * Returns the options for Node. With `optimizeEmptyRequests` (Node 24 and later), a request without a body costs no
 * stream.
 */
function serverOptions(limits: ConnectionLimits): ServerOptions & { readonly optimizeEmptyRequests: true } {
  return {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: limits.checkIntervalMs,
    keepAliveTimeout: limits.idleTimeoutMs,
    // Keep-alive probes find clients whose machine or network is gone: they never close their connections.
    keepAlive: true,
    keepAliveInitialDelay: tcpKeepAliveMs,
    // `allowedHosts` refuses a request without Host itself, with a problem as body.
    requireHostHeader: false,
    optimizeEmptyRequests: true,
  }
}
