import * as http from 'node:http'
import * as https from 'node:https'
import { memberText } from '../../json/json-source.js'
import { type Asked, digestOf, type ReadOutcome } from './answer.js'

export interface SidecarClientOptions {
  /** URL such as `http://127.0.0.1:8025`, without a `/` at its end. */
  readonly url: string
  readonly timeoutMs: number
  /** API token of the sidecar; undefined if it requires none. */
  readonly apiToken?: string | undefined
  /** Called with the reason when the sidecar stops giving usable answers. */
  readonly onSilent: (reason: string) => void
}

interface Response {
  readonly status: number
  readonly cacheStatus: string
  readonly body: string
}

/** Client that asks one sidecar what it would serve, without making it read the database. */
export class SidecarClient {
  readonly #options: SidecarClientOptions
  readonly #transport: typeof http | typeof https
  readonly #agent: http.Agent
  #silent = false

  constructor(options: SidecarClientOptions) {
    this.#options = options
    this.#transport = options.url.startsWith('https:') ? https : http
    this.#agent = new this.#transport.Agent({ keepAlive: true })
  }

  /** Asks what the sidecar would serve for the key. Never rejects. */
  async ask(key: string): Promise<Asked> {
    const sentMs = performance.now()
    const answer = await this.#get(key)
      .then((response) => answerOf(key, response))
      .catch((error: unknown): ReadOutcome => ({ kind: 'none', reason: reasonOf(error) }))
    if (answer.kind === 'none' && !this.#silent) this.#options.onSilent(answer.reason)
    this.#silent = answer.kind === 'none'
    return { sidecar: this.#options.url, sentMs, answer }
  }

  close(): void {
    this.#agent.destroy()
  }

  #get(key: string): Promise<Response> {
    const { url, timeoutMs, apiToken } = this.#options
    return new Promise((resolve, reject) => {
      const options = {
        agent: this.#agent,
        headers: {
          'Cache-Control': 'only-if-cached',
          ...(apiToken !== undefined && { Authorization: `Bearer ${apiToken}` }),
        },
        signal: AbortSignal.timeout(timeoutMs),
      }
      const request = this.#transport.get(`${url}/cache/get?key=${encodeURIComponent(key)}`, options)
      request.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () =>
          resolve({
            status: response.statusCode as number,
            cacheStatus: [response.headers['cache-status'] ?? ''].flat().join(', '),
            body: Buffer.concat(chunks).toString(),
          }),
        )
      })
      request.on('error', (error: NodeJS.ErrnoException) => {
        // The sidecar may close an idle connection just when it is reused. That says nothing about the sidecar.
        if (request.reusedSocket && error.code === 'ECONNRESET') resolve(this.#get(key))
        else reject(error)
      })
    })
  }
}

/** Interprets a response. Only what a sidecar certainly claims counts as a claim: any web server can answer 404. */
function answerOf(key: string, { status, cacheStatus, body }: Response): ReadOutcome {
  if (status === 504) return { kind: 'nothing' }
  const isMarked = /^caching-layer\b.*; *detail=/.test(cacheStatus)
  if (status === 404 && cacheStatus.startsWith('caching-layer'))
    return isMarked ? { kind: 'stale' } : { kind: 'absent' }
  if (status !== 200) return { kind: 'none', reason: `status ${status}` }
  const entry = JSON.parse(body) as Partial<Record<'key' | 'value' | 'stale', unknown>> | null
  const value = entry?.key === key ? memberText(body, 'value') : undefined
  if (entry === null || value === undefined) return { kind: 'none', reason: "not a sidecar's answer" }
  return entry.stale || isMarked ? { kind: 'stale' } : { kind: 'value', digest: digestOf(value) }
}

/** Returns the reason of a failed request. Node's AggregateError (several addresses refused) has an empty message. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  if (!(error instanceof Error)) return String(error)
  return error.name === 'AbortError' || error.name === 'TimeoutError' ? 'no answer in time' : error.message
}
