import type { Client, Near, NearStats, WriteResult } from '../../../clients/node/src/api.js'
import { fromJson, toJson } from '../entry-value.js'
import type { ReadAnswer } from '../fleet/sidecar-client.js'
import type { WrittenValue } from '../oracle/history.js'
import type { Front } from './front.js'

/** `wrong`: an answer that the documentation does not know. */
export type NearWriteAnswer =
  | { readonly kind: 'ok' | 'unknown' | 'failed' }
  | { readonly kind: 'wrong'; readonly why: string }

/** Errors without a response, and without an effect. */
const lostKinds = new Set(['unreachable', 'connection-lost', 'timeout'])
/** Statuses with which a sidecar refuses a request: a right is missing, the row is refused, a fault is under way. */
const refusals = new Set([403, 422, 503])

/** A client of the package with a near cache, behind a front of its own, and the meaning of its answers. */
export class NearClient {
  readonly name: string
  readonly front: Front
  readonly #client: Client

  constructor(name: string, front: Front, client: Client) {
    this.name = name
    this.front = front
    this.#client = client
  }

  get stats(): NearStats {
    return this.#near.stats()
  }

  get #near(): Near {
    const { near } = this.#client
    if (near === undefined) throw new Error(`${this.name} has no near cache`)
    return near
  }

  /** Returns what the near cache answers from its memory; undefined if there is nothing, or no entry. */
  held(key: string): ReadAnswer | undefined {
    const value = this.#near.get(key)
    if (value === undefined) return undefined
    return { kind: 'entry', value: fromJson(value), source: 'near', stale: false, status: '' }
  }

  async get(key: string): Promise<ReadAnswer> {
    const before = this.stats.hits
    const read = this.#client.getEntry(key)
    // The near cache is asked before `getEntry` returns. An absence has no source of its own.
    const isHit = this.stats.hits > before
    try {
      const entry = await read
      if (entry === undefined)
        return { kind: 'entry', value: null, source: isHit ? 'near' : 'db', stale: false, status: '' }
      const { value, source, stale } = entry
      if (value instanceof Uint8Array) return { kind: 'wrong', why: `bytes instead of a text: ${value}` }
      return { kind: 'entry', value: fromJson(value), source, stale, status: '' }
    } catch (error) {
      return failedRead(error)
    }
  }

  /**
   * Reads several keys with one request, after which the near cache may hold them. Their values are not returned,
   * because `getMany` does not say which of them are stale.
   */
  async fill(keys: readonly string[]): Promise<Exclude<ReadAnswer, { kind: 'entry' }> | undefined> {
    return this.#client.getMany(keys).then(() => undefined, failedRead)
  }

  /**
   * Writes an object, or deletes the key, if there is an entry. A write with a condition is never kept during an outage,
   * so that one response says what came of it: behind a balancer nobody knows which sidecar would keep it.
   */
  write(key: string, value: WrittenValue): Promise<NearWriteAnswer> {
    const condition = { ifMatch: '*' }
    return outcomeOf(
      value === null
        ? this.#client.delete(key, condition)
        : this.#client.set(key, toJson(value) as object, condition),
    )
  }

  async close(): Promise<void> {
    await this.#client.close()
    await this.front.close()
  }
}

function failedRead(error: unknown): Exclude<ReadAnswer, { kind: 'entry' }> {
  const { kind, status, text } = problemOf(error)
  if (lostKinds.has(kind)) return { kind: 'lost' }
  return refusals.has(status ?? 0) ? { kind: 'refused' } : { kind: 'wrong', why: text }
}

async function outcomeOf(write: Promise<WriteResult>): Promise<NearWriteAnswer> {
  try {
    const { isPending } = await write
    return isPending ? { kind: 'wrong', why: 'a write with a condition was kept' } : { kind: 'ok' }
  } catch (error) {
    const { kind, status, text } = problemOf(error)
    if (kind === 'outcome-unknown') return { kind: 'unknown' }
    const isNothing = lostKinds.has(kind) || kind === 'condition-failed' || refusals.has(status ?? 0)
    return isNothing ? { kind: 'failed' } : { kind: 'wrong', why: text }
  }
}

/** Reads an error of the client. By its members, because the client may come from another file than its types. */
function problemOf(error: unknown): {
  readonly kind: string
  readonly status: number | undefined
  readonly text: string
} {
  const { kind, status } = error as { kind?: unknown; status?: unknown }
  return {
    kind: typeof kind === 'string' ? kind : '',
    status: typeof status === 'number' ? status : undefined,
    text: String(error),
  }
}
