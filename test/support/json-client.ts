import { type Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http'
import type { MemoryPart } from '../../src/core/state/memory-use.js'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body's members; empty for what is no JSON object. */
  readonly body: Readonly<Record<string, unknown>>
}

export interface Sending {
  /** Sent as JSON. */
  readonly body?: unknown
  /** Sent as it is; several pieces go without a Content-Length. */
  readonly raw?: string | Buffer | readonly (string | Buffer)[]
  readonly headers?: OutgoingHttpHeaders
}

/** Time in ms after which a request counts as hung. */
const answerTimeoutMs = 30_000

/** A client of one sidecar. */
export class JsonClient {
  readonly base: string
  readonly #agent: Agent | undefined

  /** Opens a connection for every request if there is no agent. */
  constructor(base: string, agent?: Agent) {
    this.base = base
    this.#agent = agent
  }

  request(method: string, path: string, sending: Sending = {}): Promise<Answer> {
    const { body, raw, headers = {} } = sending
    const pieces = raw === undefined ? [] : typeof raw === 'string' || Buffer.isBuffer(raw) ? [raw] : raw
    const one = body === undefined ? (pieces.length === 1 ? pieces[0] : undefined) : JSON.stringify(body)
    return new Promise((resolve, reject) => {
      const sent = request(`${this.base}${path}`, {
        method,
        agent: this.#agent ?? false,
        headers: {
          ...(one === undefined ? {} : { 'Content-Length': Buffer.byteLength(one) }),
          ...(one === undefined && pieces.length === 0 ? {} : { 'Content-Type': 'application/json' }),
          ...headers,
        },
      })
      sent.setTimeout(answerTimeoutMs, () => sent.destroy(new Error(`${method} ${path}: no answer`)))
      sent.on('error', reject)
      sent.on('response', (response) => {
        const chunks: Buffer[] = []
        const end = () => {
          const text = Buffer.concat(chunks).toString()
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: members(text) })
        }
        // A stream has no end: its first part is the answer.
        const isStream = response.headers['content-type']?.startsWith('text/event-stream')
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk)
          if (!isStream) return
          end()
          sent.destroy()
        })
        response.on('error', reject)
        response.on('end', end)
      })
      if (one !== undefined) sent.end(one)
      else {
        for (const piece of pieces) sent.write(piece)
        sent.end()
      }
    })
  }

  get(key: string): Promise<Answer> {
    return this.request('GET', `/cache/get?key=${encodeURIComponent(key)}`)
  }

  set(key: string, value: unknown): Promise<Answer> {
    return this.request('POST', '/cache/set', { body: { key, value } })
  }

  delete(key: string): Promise<Answer> {
    return this.request('DELETE', `/cache/delete?key=${encodeURIComponent(key)}`)
  }

  async stats(): Promise<Stats> {
    return (await this.request('GET', '/cache/stats')).body as unknown as Stats
  }

  /** The value read, whatever its source; undefined when there is none. Throws at any other answer. */
  async value(key: string): Promise<unknown> {
    const { status, body, text } = await this.get(key)
    if (status === 404) return undefined
    if (status !== 200) throw new Error(`GET ${key}: ${status} ${text}`)
    return body.value
  }

  /** Reads until the value is served from memory as fresh; answers with it. */
  async held(key: string): Promise<unknown> {
    for (let attempt = 0; attempt < 500; attempt++) {
      const { body } = await this.get(key)
      if (body.source === 'cache' && body.stale === undefined) return body.value
    }
    throw new Error(`${key} is not held`)
  }
}

/** Members of `GET /cache/stats` that the tests read. */
export interface Stats {
  readonly size: number
  readonly hits: number
  readonly misses: number
  readonly coalesced_fills: number
  readonly warmed: number
  readonly changes_applied: number
  readonly invalidations: number
  readonly evictions: number
  readonly negative: {
    readonly size: number
    readonly capacity: number
    readonly bytes: number
    readonly hits: number
    readonly evictions: number
  }
  readonly feed: {
    readonly state: string
    readonly lease_age_ms: number | null
    readonly losses: number
    readonly revalidations: number
    readonly revalidation_drops: number
    readonly flushes: number
  }
  readonly writes: {
    readonly pending: number
    readonly pending_settled: number
    readonly pending_conflicts: number
    readonly unknown: number
  }
  readonly fill_leases: { readonly granted: number; readonly refused: number; readonly waiting: number }
  readonly change_streams: { readonly open: number; readonly cut_off: number }
  readonly database: {
    readonly breaker: string
    readonly retries: number
    readonly opened: number
    readonly refused: number
  }
  readonly memory: {
    readonly [Part in MemoryPart]: { readonly bytes: number; readonly limit_bytes: number }
  }
  /** Only with DATABASE_READ_URL. */
  readonly replica?: {
    readonly usable: boolean
    readonly fills: number
    readonly fallbacks: {
      readonly recent: number
      readonly unavailable: number
      readonly expiring: number
    }
  }
}

function members(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
