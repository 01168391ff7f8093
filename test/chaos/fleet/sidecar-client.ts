import { Agent, request } from 'node:http'
import { fromJson, toJson } from '../entry-value.js'
import type { Denial } from '../oracle/denials.js'
import type { Outcome } from '../oracle/history.js'

/** Response to a read. `value` is null if there is no entry. */
export type ReadAnswer =
  | {
      readonly kind: 'entry'
      readonly value: string | null
      /** `near`: the memory of a client. */
      readonly source: 'near' | 'cache' | 'db'
      readonly stale: boolean
      /** The Cache-Status header. */
      readonly status: string
    }
  /** The database cannot be asked, and the answer says so; `denial`: it was asked, and said no for good. */
  | { readonly kind: 'refused'; readonly denial?: Denial }
  /** The connection or the sidecar ended. */
  | { readonly kind: 'lost' }
  /** Anything that the documentation does not say. */
  | { readonly kind: 'wrong'; readonly why: string }

export type WriteAnswer =
  | {
      readonly kind: Exclude<Outcome, 'nothing'>
      readonly token?: string | undefined
      readonly why?: string
      /** Reason of a final refusal by the database; only with `failed`. */
      readonly denial?: Denial | undefined
    }
  | { readonly kind: 'wrong'; readonly why: string }

export interface Asked {
  readonly consistency?: 'strong'
  readonly token?: string | undefined
}

/** Response to a read of an entry with its tag; undefined if there was no usable one. */
export interface TaggedAnswer {
  /** Null if there is no entry. */
  readonly text: string | null
  readonly tag: string | undefined
}

/** Response to a write with a condition. */
export type ConditionalAnswer =
  | { readonly kind: 'ok' | 'unmet' | 'unknown' | 'failed' }
  | { readonly kind: 'wrong'; readonly why: string }

interface HttpAnswer {
  readonly status: number
  readonly cacheStatus: string
  readonly token: string | undefined
  readonly tag: string | undefined
  readonly text: string
}

/** Timeout of a client, far above the limit from which a request counts as hung. */
const giveUpMs = 25_000

/** Speaks to one sidecar over connections that are kept alive, and knows what each answer means. */
export class SidecarClient {
  readonly #port: () => number | undefined
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 128 })

  /** `port` answers undefined while the sidecar does not run. */
  constructor(port: () => number | undefined) {
    this.#port = port
  }

  close(): void {
    this.#agent.destroy()
  }

  async get(key: string, { consistency, token }: Asked = {}): Promise<ReadAnswer> {
    const path = `/cache/get?key=${encodeURIComponent(key)}${consistency ? `&consistency=${consistency}` : ''}`
    const answer = await this.#ask('GET', path, token === undefined ? {} : { 'Cache-Token': token })
    return typeof answer === 'string' ? { kind: 'lost' } : readAnswer(key, answer)
  }

  /** Sets a key, to expire after `lifetimeMs` if that is given. */
  async set(key: string, value: string, lifetimeMs?: number): Promise<WriteAnswer> {
    const ttl = lifetimeMs === undefined ? {} : { ttl_seconds: lifetimeMs / 1_000 }
    const body = JSON.stringify({ key, value: toJson(value), ...ttl })
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
    return writeAnswer(await this.#ask('POST', '/cache/set', headers, body))
  }

  async delete(key: string): Promise<WriteAnswer> {
    return writeAnswer(await this.#ask('DELETE', `/cache/delete?key=${encodeURIComponent(key)}`))
  }

  /** Reads an entry with its tag, for a write with a condition. */
  async getTagged(key: string, { consistency }: Asked = {}): Promise<TaggedAnswer | undefined> {
    const query = consistency ? `?consistency=${consistency}` : ''
    const answer = await this.#ask('GET', `/v1/entries/${encodeURIComponent(key)}${query}`)
    if (typeof answer === 'string' || (answer.status !== 200 && answer.status !== 404)) return undefined
    return { text: answer.status === 404 ? null : answer.text, tag: answer.tag }
  }

  /** Writes JSON if the entry has the tag, or without a tag if there is no entry. */
  async putIf(key: string, body: string, tag: string | undefined): Promise<ConditionalAnswer> {
    const headers = {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
      ...(tag === undefined ? { 'If-None-Match': '*' } : { 'If-Match': tag }),
    }
    return conditionalAnswer(await this.#ask('PUT', `/v1/entries/${encodeURIComponent(key)}`, headers, body))
  }

  /** Writes all of the values in one transaction, or none. */
  async putAll(values: Readonly<Record<string, unknown>>): Promise<ConditionalAnswer> {
    const items = Object.entries(values).map(([key, value]) => ({ op: 'put', key, value }))
    const answer = await this.#post('/v1/entries:batch', { atomic: true, items })
    return typeof answer !== 'string' && answer.status === 200 ? { kind: 'ok' } : conditionalAnswer(answer)
  }

  /** Reads several keys from one snapshot. Returns the values found, by key; undefined if there was no answer. */
  async getAll(keys: readonly string[]): Promise<Readonly<Record<string, unknown>> | undefined> {
    const answer = await this.#post('/v1/entries:get', { keys, consistency: 'strong' })
    if (typeof answer === 'string' || answer.status !== 200) return undefined
    const { entries } = JSON.parse(answer.text) as { entries: readonly { key: string; value: unknown }[] }
    return Object.fromEntries(entries.map(({ key, value }) => [key, value]))
  }

  /** Reads the body of an entry. */
  async getEntry(key: string, { consistency }: Asked = {}): Promise<ReadAnswer> {
    const query = consistency ? `?consistency=${consistency}` : ''
    const answer = await this.#ask('GET', `/v1/entries/${encodeURIComponent(key)}${query}`)
    if (typeof answer === 'string') return { kind: 'lost' }
    if (answer.status !== 200) return readAnswer(key, answer)
    const { cacheStatus, text } = answer
    const source = cacheStatus.includes('; hit') ? 'cache' : 'db'
    return { kind: 'entry', value: text, source, stale: cacheStatus.includes('detail='), status: cacheStatus }
  }

  /** Reads several keys with one request. Returns an answer for each. */
  async getEach(keys: readonly string[], asked: Asked = {}): Promise<readonly ReadAnswer[]> {
    const answer = await this.#post('/v1/entries:get', { keys, ...asked })
    if (typeof answer === 'string') return keys.map(() => ({ kind: 'lost' }))
    if (answer.status !== 200) return keys.map((key) => readAnswer(key, answer))
    const { entries } = JSON.parse(answer.text) as {
      entries: readonly { key: string; value: unknown; source: 'cache' | 'db'; stale?: true }[]
    }
    return keys.map((key) => {
      const entry = entries.find((one) => one.key === key)
      // The response does not say where it knows from that a key does not exist.
      if (entry === undefined) return { kind: 'entry', value: null, source: 'db', stale: false, status: '' }
      const { value, source, stale = false } = entry
      return { kind: 'entry', value: fromJson(value), source, stale, status: '' }
    })
  }

  #post(path: string, body: object): Promise<HttpAnswer | 'unsent' | 'lost'> {
    const text = JSON.stringify(body)
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }
    return this.#ask('POST', path, headers, text)
  }

  /** The body of a GET; undefined when there was no answer. */
  async look(path: string): Promise<unknown> {
    const answer = await this.#ask('GET', path)
    return typeof answer !== 'string' && answer.status === 200
      ? (JSON.parse(answer.text) as unknown)
      : undefined
  }

  /** `unsent`: the request cannot have arrived. `lost`: it may have arrived. */
  #ask(
    method: string,
    path: string,
    headers: Readonly<Record<string, string | number>> = {},
    body?: string,
  ): Promise<HttpAnswer | 'unsent' | 'lost'> {
    const port = this.#port()
    if (port === undefined) return Promise.resolve('unsent')
    return new Promise((resolve) => {
      const sent = request({ host: '127.0.0.1', port, method, path, headers, agent: this.#agent })
      const giveUp = setTimeout(() => sent.destroy(new Error('no answer')), giveUpMs)
      const end = (answer: HttpAnswer | 'unsent' | 'lost') => {
        clearTimeout(giveUp)
        resolve(answer)
      }
      sent.on('error', (error: NodeJS.ErrnoException) =>
        end(error.code === 'ECONNREFUSED' ? 'unsent' : 'lost'),
      )
      sent.on('response', (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => {
          text += part
        })
        response.on('error', () => end('lost'))
        response.on('close', () => end('lost'))
        response.on('end', () => {
          const token = response.headers['cache-token']
          end({
            status: response.statusCode ?? 0,
            cacheStatus: String(response.headers['cache-status'] ?? ''),
            token: typeof token === 'string' ? token : undefined,
            tag: response.headers.etag,
            text,
          })
        })
      })
      sent.end(body)
    })
  }
}

function readAnswer(key: string, { status, cacheStatus, text }: HttpAnswer): ReadAnswer {
  const body = members(text)
  if (status === 503) return { kind: 'refused' }
  const denial = denialOf(status, body)
  if (denial === 'forbidden') return { kind: 'refused', denial }
  if (status === 404 && body.detail === 'Key not found') {
    const source = cacheStatus.includes('; hit') ? 'cache' : 'db'
    return { kind: 'entry', value: null, source, stale: cacheStatus.includes('detail='), status: cacheStatus }
  }
  const { value, source, stale = false } = body
  if (status !== 200 || (source !== 'cache' && source !== 'db') || typeof stale !== 'boolean')
    return { kind: 'wrong', why: `${status} ${text.slice(0, 200)}` }
  if (body.key !== key) return { kind: 'wrong', why: `asked for another key: ${text.slice(0, 200)}` }
  return { kind: 'entry', value: fromJson(value), source, stale, status: cacheStatus }
}

function writeAnswer(answer: HttpAnswer | 'unsent' | 'lost'): WriteAnswer {
  if (answer === 'unsent') return { kind: 'failed' }
  if (answer === 'lost') return { kind: 'unknown' }
  const { status, text, token } = answer
  const body = members(text)
  if (status === 503) {
    const why = String(body.detail)
    return { kind: why.includes('outcome') ? 'unknown' : 'failed', why }
  }
  const denial = denialOf(status, body)
  if (denial) return { kind: 'failed', denial }
  if (status !== 200) return { kind: 'wrong', why: `${status} ${text.slice(0, 200)}` }
  // A delete that is kept says so by giving no token.
  const isKept = 'db_removed' in body ? token === undefined : body.db_written === false
  if (isKept) return { kind: 'kept' }
  return token === undefined
    ? { kind: 'wrong', why: `no token: ${text.slice(0, 200)}` }
    : { kind: 'ok', token }
}

function conditionalAnswer(answer: HttpAnswer | 'unsent' | 'lost'): ConditionalAnswer {
  if (answer === 'unsent') return { kind: 'failed' }
  if (answer === 'lost') return { kind: 'unknown' }
  const { status, text } = answer
  const body = members(text)
  if (status === 201 || status === 204) return { kind: 'ok' }
  if (status === 412) return { kind: 'unmet' }
  if (status === 503) return { kind: String(body.detail).includes('outcome') ? 'unknown' : 'failed' }
  if (denialOf(status, body)) return { kind: 'failed' }
  return { kind: 'wrong', why: `${status} ${text.slice(0, 200)}` }
}

/**
 * Told by what docs/reference/errors.md says; a client that asks wrongly is told something else with the same status.
 */
function denialOf(status: number, { detail }: Readonly<Record<string, unknown>>): Denial | undefined {
  const says = String(detail)
  if (status === 403 && says.startsWith('The database role does not have the right')) return 'forbidden'
  return status === 422 && says.endsWith('The database refused the value') ? 'refused' : undefined
}

function members(text: string): Readonly<Record<string, unknown>> {
  try {
    const body: unknown = JSON.parse(text)
    return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
