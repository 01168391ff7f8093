import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RequestOptions } from '../api.js'
import { CachingLayerError } from '../caching-layer-error.js'
import type { HttpRequest, HttpResponse } from './http-message.js'
import { onAbort } from './on-abort.js'
import { problemOf } from './problem.js'

export interface TransportOptions {
  readonly url: string
  readonly token: string | undefined
  readonly timeoutMs: number
  readonly maxConnections: number
}

/** Longest time of a timer. A longer one, such as Infinity, would be over at once. */
const maxTimerMs = 2 ** 31 - 1
/**
 * Time limit for the beginning of a stream, which is opened again after it. The limit of the client may be without end,
 * or too short for anything but a hit.
 */
const streamTimeoutMs = 5_000
/** Maximum number of times that a request is sent. */
const maxAttempts = 3
/** Longest pause before the second attempt; it doubles for each further one. */
const pauseMs = 20

/**
 * Requests to the sidecar, on connections that stay open. `node:http` and not `fetch`, because a request tells whether
 * anything was sent, and because it is cheaper: 130 µs of CPU time for a hit and not 310 (Node.js 20, 16 requests at
 * once, on a busy machine).
 */
export class Transport {
  readonly #options: TransportOptions
  readonly #protocol: typeof http | typeof https
  readonly #target: { readonly host: string; readonly port: number | undefined; readonly base: string }
  /**
   * Connections that stay open. Writes do not queue behind reads, because others may wait for what they store, and
   * requests that wait for other processes hold nobody up.
   */
  readonly #agents: { readonly reads: http.Agent; readonly writes: http.Agent; readonly waits: http.Agent }
  readonly #open = new Set<ClientRequest>()
  #isClosed = false

  constructor(options: TransportOptions) {
    const { hostname, port, pathname, protocol } = new URL(options.url)
    this.#options = options
    this.#protocol = protocol === 'https:' ? https : http
    this.#target = {
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? undefined : Number(port),
      base: pathname.replace(/\/$/, ''),
    }
    const agent = () => new this.#protocol.Agent({ keepAlive: true, maxSockets: options.maxConnections })
    this.#agents = { reads: agent(), writes: agent(), waits: agent() }
  }

  /**
   * Sends a request, and sends it again while that is safe and there is time: if no connection could be opened, or if
   * the request changes nothing. Rejects with a CachingLayerError, or with the reason of the signal.
   */
  async request(request: HttpRequest, options: RequestOptions = {}): Promise<HttpResponse> {
    const { signal, timeoutMs = this.#options.timeoutMs } = options
    const deadlineMs = performance.now() + Math.min(timeoutMs, maxTimerMs)
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await this.#attempt(request, signal, deadlineMs - performance.now())
        if (response.status < 400) return response
        const problem = problemOf(response, request.isRead)
        if (request.answers?.includes(problem.kind)) return response
        throw problem
      } catch (error) {
        const hasNoResponse = error instanceof CachingLayerError && error.status === undefined
        const isOver = attempt === maxAttempts || this.#isClosed || signal?.aborted
        // A timer may be a little early, and then there would be time for another attempt.
        if (!hasNoResponse || !error.retryable || isOver || error.kind === 'timeout') throw error
        const waitMs = Math.random() * pauseMs * 2 ** attempt
        if (performance.now() + waitMs >= deadlineMs) throw error
        await sleep(waitMs)
        signal?.throwIfAborted()
      }
    }
  }

  /**
   * Opens a stream on a connection of its own. Resolves when its response has begun. A stream that does not keep the
   * process alive ends with it.
   */
  async stream(
    path: string,
    headers: Readonly<Record<string, string>>,
    { signal, keepsAlive }: { readonly signal: AbortSignal; readonly keepsAlive: boolean },
  ): Promise<IncomingMessage> {
    const request: HttpRequest = { method: 'GET', path, headers, isRead: true, isOnNewConnection: true }
    const sent = this.#send(request)
    if (!keepsAlive) sent.on('socket', (socket) => socket.unref())
    const abort = () => sent.destroy()
    sent.once('close', onAbort(signal, abort))
    if (signal.aborted) abort()
    const late = setTimeout(() => sent.destroy(new Error('timeout')), streamTimeoutMs)
    if (!keepsAlive) late.unref()
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        sent.on('response', resolve)
        sent.on('error', (cause) => reject(failure('unreachable', `no stream: ${cause.message}`, cause)))
        sent.end()
      })
      const { statusCode: status = 0 } = response
      if (status === 200) return response
      throw problemOf({ status, headers: response.headers, body: await bodyOf(response) }, true)
    } finally {
      clearTimeout(late)
    }
  }

  /** Ends all requests and streams. */
  close(): void {
    this.#isClosed = true
    for (const request of this.#open) request.destroy()
    for (const agent of Object.values(this.#agents)) agent.destroy()
  }

  #send({ method, path, headers, body, isRead, mayWait, isOnNewConnection }: HttpRequest): ClientRequest {
    if (this.#isClosed) throw closedError()
    const { reads, writes, waits } = this.#agents
    const agent = mayWait ? waits : isRead ? reads : writes
    const { host, port, base } = this.#target
    const { token } = this.#options
    const sent = this.#protocol.request({
      host,
      port,
      method,
      path: base + path,
      agent: isOnNewConnection ? false : agent,
      headers: {
        ...headers,
        ...(token !== undefined && { Authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'Content-Length': Buffer.byteLength(body) }),
      },
    })
    this.#open.add(sent)
    sent.once('close', () => this.#open.delete(sent))
    return sent
  }

  #attempt(request: HttpRequest, signal: AbortSignal | undefined, timeoutMs: number): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const sent = this.#send(request)
      /** True as soon as the sidecar may have received something. */
      let isUnderWay = false
      const end = (settle: () => void) => {
        clearTimeout(timer)
        off?.()
        settle()
      }
      const fail = (error: unknown) => {
        end(() => reject(error))
        sent.destroy()
      }
      const off = signal && onAbort(signal, () => fail(signal.reason))
      const timer = setTimeout(
        () => fail(lost(request, isUnderWay, 'timeout', `no response within ${Math.ceil(timeoutMs)} ms`)),
        timeoutMs,
      )
      sent.once('socket', (socket) => {
        if (!socket.connecting) isUnderWay = true
        else socket.once('connect', () => (isUnderWay = true))
      })
      const onError = (cause: Error) =>
        // A request that is still connecting is ended by its agent, with another error.
        fail(
          this.#isClosed ? closedError() : lost(request, isUnderWay, 'connection-lost', cause.message, cause),
        )
      sent.on('error', onError)
      sent.on('response', (response) => {
        const { statusCode: status = 0, headers } = response
        bodyOf(response).then((body) => end(() => resolve({ status, headers, body })), onError)
      })
      sent.end(request.body)
    })
  }
}

function bodyOf(response: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)))
    response.on('error', reject)
  })
}

/** Returns the error of a request without a response. */
function lost(
  { isRead }: HttpRequest,
  isUnderWay: boolean,
  kind: 'timeout' | 'connection-lost',
  detail: string,
  cause?: unknown,
): CachingLayerError {
  if (!isUnderWay) return failure(kind === 'timeout' ? kind : 'unreachable', detail, cause)
  if (isRead) return failure(kind, detail, cause)
  return new CachingLayerError({
    kind: 'outcome-unknown',
    detail: `the write may have happened: ${detail}`,
    cause,
  })
}

/** Returns the error of requests to a client that is closed. */
export function closedError(): CachingLayerError {
  return failure('closed', 'the client is closed')
}

function failure(
  kind: 'unreachable' | 'timeout' | 'connection-lost' | 'closed',
  detail: string,
  cause?: unknown,
): CachingLayerError {
  return new CachingLayerError({ kind, detail, retryable: kind !== 'closed', cause })
}
