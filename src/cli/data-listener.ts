import { request } from 'node:http'
import { loadConfig } from '../config/load.js'
import { readApiToken } from '../config/read-api-token.js'
import { errorMessage } from '../errors/error-message.js'
import type { CommandInput } from './command.js'
import { connectUrl } from './connect-host.js'
import { UsageError } from './usage-error.js'

export interface Answer {
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

const timeoutMs = 10_000

/** Client of the data listener of a running sidecar. */
export class DataListener {
  readonly #base: URL
  readonly #socketPath: string | undefined
  readonly #token: string | undefined

  private constructor(base: URL, socketPath: string | undefined, token: string | undefined) {
    this.#base = base
    this.#socketPath = socketPath
    this.#token = token
  }

  /** Returns a client for the listener of these settings, or for the one at `--url`, with the token of the settings. */
  static async of({
    environment,
    values,
  }: Pick<CommandInput, 'environment' | 'values'>): Promise<DataListener> {
    const { config } = loadConfig(environment, { flags: values })
    const url = values.get('url')
    const base = baseUrl(url ?? connectUrl(config.host, config.port))
    return new DataListener(base, url === undefined ? config.socket : undefined, await readApiToken(config))
  }

  /** Returns a client for a listener that needs no token. */
  static at(url: string): DataListener {
    return new DataListener(baseUrl(url), undefined, undefined)
  }

  /** Name for messages. */
  get name(): string {
    return this.#socketPath ?? this.#base.origin
  }

  /** Returns everything that a caller needs to send requests on connections of its own. */
  address(): {
    readonly address: { readonly path: string } | { readonly host: string; readonly port: number }
    /** Value of the Host header. */
    readonly host: string
    readonly token: string | undefined
  } {
    const { host, hostname, port } = this.#base
    const address =
      this.#socketPath === undefined
        ? { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80) }
        : { path: this.#socketPath }
    return { address, host, token: this.#token }
  }

  /** Sends a request. Rejects with an Error that names the sidecar and the reason if there is no response. */
  async ask(path: string, { method = 'GET', headers = {}, body = '' }: Asking = {}): Promise<Answer> {
    try {
      return await this.#send(path, body, {
        method,
        headers: {
          ...(this.#token !== undefined && { Authorization: `Bearer ${this.#token}` }),
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
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request(new URL(path, this.#base), {
        ...options,
        agent: false,
        ...(this.#socketPath !== undefined && { socketPath: this.#socketPath }),
        signal: AbortSignal.timeout(timeoutMs),
      })
      sent.on('error', reject)
      sent.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          try {
            const text = Buffer.concat(chunks).toString()
            resolve({ status: response.statusCode ?? 0, body: JSON.parse(text), text })
          } catch {
            reject(new Error('not a sidecar: the response is not JSON'))
          }
        })
      })
      sent.end(text)
    })
  }
}

function baseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'http:')
    throw new UsageError(`--url: "${text}" is not a URL like http://127.0.0.1:8025`)
  return url
}

/** Returns the reason why a request was refused, as an Error for people. */
export function refusal({ status, body }: Answer): Error {
  return new Error(typeof body.detail === 'string' ? body.detail : `the sidecar answered ${status}`)
}
