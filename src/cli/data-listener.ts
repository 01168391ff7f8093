import { request } from 'node:http'
import type { Environment } from '../config/load.js'
import { loadConfig } from '../config/load.js'
import { reachable } from './reachable.js'
import { UsageError } from './usage-error.js'

export interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

export interface Asking {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: unknown
}

const timeoutMs = 10_000

/** A running sidecar, as its clients see it: the one of this environment, or the one that `--url` names. */
export class DataListener {
  readonly #base: URL

  constructor(environment: Environment, url: string | undefined) {
    const { host, port } = loadConfig(environment).config
    const text = url ?? `http://${reachable(host)}:${port}`
    if (!URL.canParse(text) || new URL(text).protocol !== 'http:')
      throw new UsageError(`--url: "${text}" is not a URL like http://127.0.0.1:8025`)
    this.#base = new URL(text)
  }

  /** Rejects with an Error in words when nobody answers. */
  async ask(path: string, { method = 'GET', headers = {}, body }: Asking = {}): Promise<Answer> {
    const text = body === undefined ? '' : JSON.stringify(body)
    try {
      return await this.#send(path, text, {
        method,
        headers: {
          ...headers,
          ...(body !== undefined && {
            'Content-Type': 'application/json',
            'Content-Length': `${Buffer.byteLength(text)}`,
          }),
        },
      })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new Error(`${this.#base.origin}: ${reason || 'nobody answers'}`, { cause: error })
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
        signal: AbortSignal.timeout(timeoutMs),
      })
      sent.on('error', reject)
      sent.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          try {
            resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) })
          } catch {
            reject(new Error('this is no sidecar: its answer is not JSON'))
          }
        })
      })
      sent.end(text)
    })
  }
}

/** What a refusal says; for people. */
export function refusal({ status, body }: Answer): Error {
  return new Error(typeof body.detail === 'string' ? body.detail : `the sidecar answered ${status}`)
}
