import { request } from 'node:http'
import { errorMessage } from '../errors/error-message.js'
import { UsageError } from './usage-error.js'

export interface ListenerResponse {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
  /** The body as it was received, with all digits of its numbers. */
  readonly text: string
}

export interface Asking {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Body of the request, as JSON text. */
  readonly body?: string
}

/** The two listeners of a sidecar. */
export type ListenerKind = 'data' | 'operations'

export interface ListenerClientOptions {
  readonly kind: ListenerKind
  /** URL of the listener, without a path. Its host and port do not count if there is a `socketPath`. */
  readonly base: URL
  readonly socketPath?: string | undefined
  readonly token?: string | undefined
  /** Maximum time for a response. */
  readonly timeoutMs?: number
}

const defaultTimeoutMs = 10_000

/** A request that only this kind of listener answers, and how it answers. Neither needs a token. */
const signs = {
  data: { path: '/health', status: 'ok', settings: 'PORT, 8025 by default' },
  operations: { path: '/livez', status: 'alive', settings: 'OPS_PORT, 9025 by default' },
} as const

/** Client of one listener of a running sidecar. */
export class ListenerClient {
  readonly #options: ListenerClientOptions

  constructor(options: ListenerClientOptions) {
    this.#options = options
  }

  /** Name for messages. */
  get name(): string {
    return this.#options.socketPath ?? this.#options.base.origin
  }

  /** Returns everything that a caller needs to send requests on connections of its own. */
  address(): {
    readonly address: { readonly path: string } | { readonly host: string; readonly port: number }
    /** Value of the Host header. */
    readonly host: string
    readonly token: string | undefined
  } {
    const { base, socketPath, token } = this.#options
    const { host, hostname, port } = base
    const address =
      socketPath === undefined
        ? { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80) }
        : { path: socketPath }
    return { address, host, token }
  }

  /**
   * Sends a request. Rejects with an Error that names the sidecar and the reason if there is no response, and with a
   * UsageError if this is the other listener of a sidecar.
   */
  async ask(path: string, asking: Asking = {}): Promise<ListenerResponse> {
    const answer = await this.#ask(path, asking)
    const isUnknownPath = answer.status === 404 && answer.body.detail === 'Not Found'
    if (isUnknownPath || answer.status === 401) await this.#refuseOther()
    return answer
  }

  /** Rejects if the other listener of a sidecar has this address. */
  async #refuseOther(): Promise<void> {
    const { kind } = this.#options
    const other = kind === 'data' ? 'operations' : 'data'
    const { path, status } = signs[other]
    const { body } = await this.#ask(path, {})
    if (body.status !== status) return
    throw new UsageError(
      `${this.name} is the ${other} listener of a sidecar; name its ${kind} listener (${signs[kind].settings})`,
    )
  }

  async #ask(path: string, { method = 'GET', headers = {}, body = '' }: Asking): Promise<ListenerResponse> {
    const { token } = this.#options
    try {
      return await this.#send(path, body, {
        method,
        headers: {
          ...(token !== undefined && { Authorization: `Bearer ${token}` }),
          ...headers,
          ...(body !== '' && {
            'Content-Type': 'application/json',
            'Content-Length': `${Buffer.byteLength(body)}`,
          }),
        },
      })
    } catch (error) {
      const reason = errorMessage(error)
      throw new Error(`${this.name}: ${reason || 'no response'}`, {
        cause: error,
      })
    }
  }

  #send(
    path: string,
    text: string,
    options: { readonly method: string; readonly headers: Readonly<Record<string, string>> },
  ): Promise<ListenerResponse> {
    const { base, socketPath, timeoutMs = defaultTimeoutMs } = this.#options
    return new Promise((resolve, reject) => {
      const sent = request(new URL(path, base), {
        ...options,
        agent: false,
        socketPath,
        signal: AbortSignal.timeout(timeoutMs),
      })
      const timedOut = `no answer within ${timeoutMs} ms`
      sent.on('error', (error) =>
        reject(error.name === 'AbortError' ? new Error(timedOut, { cause: error }) : error),
      )
      sent.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          try {
            const text = Buffer.concat(chunks).toString()
            resolve({ status: response.statusCode as number, body: JSON.parse(text), text })
          } catch {
            reject(new Error('not a sidecar: the response is not JSON'))
          }
        })
      })
      sent.end(text)
    })
  }
}

/** Returns why a listener did not answer, for a message that names the listener itself. */
export function reasonOf(error: unknown, { name }: ListenerClient): string {
  const message = errorMessage(error)
  return message.startsWith(`${name}: `) ? message.slice(name.length + 2) : message
}

/** Returns the reason why a request was refused, as an Error for people. */
export function refusal({ status, body }: ListenerResponse): Error {
  return new Error(typeof body.detail === 'string' ? body.detail : `the sidecar answered ${status}`)
}
