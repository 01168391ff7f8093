import type { Entry, ReadOptions } from '../api.js'
import { CachingLayerError } from '../caching-layer-error.js'
import type { NearCache } from '../near/near-cache.js'
import { givenAway, held, type NearEntry } from '../near/near-entry.js'
import type { EntryRequests } from './entry-requests.js'
import type { ReadAnswer } from './read-answer.js'
import type { SessionTokens } from './session-tokens.js'

export interface ReadsParts {
  readonly requests: EntryRequests
  readonly tokens: SessionTokens
  readonly near: NearCache | undefined
}

/** Maximum number of keys in one request. */
const keysPerRequest = 1_000

/** Reads: from the near cache if that can prove its answer, otherwise from the sidecar. */
export class Reads {
  readonly #parts: ReadsParts

  constructor(parts: ReadsParts) {
    this.#parts = parts
  }

  /** Returns an entry that the near cache proves, null for a key without one, undefined if the sidecar must be asked. */
  held(key: string, consistency?: ReadOptions['consistency']): NearEntry | null | undefined {
    return consistency === 'strong' ? undefined : this.#parts.near?.hit(key)
  }

  /** Asks the sidecar for one key. */
  async ask(key: string, options: ReadOptions): Promise<Entry<unknown> | undefined> {
    const { requests, tokens } = this.#parts
    return (await this.kept(key, () => requests.get(key, tokens.of(key), options))).entry
  }

  /** Calls `read`, which asks the sidecar for one key, and holds its answer if that is safe. */
  async kept<Answer extends ReadAnswer>(key: string, read: () => Promise<Answer>): Promise<Answer> {
    const { near } = this.#parts
    if (near === undefined) return read()
    const flight = near.open(key)
    try {
      const answer = await read()
      near.answered(flight, nearAnswer(key, answer))
      return answer
    } finally {
      near.close(flight)
    }
  }

  /**
   * Reads many keys. One request has at most one token, so the keys that this client has written in the last minute are
   * read from the primary, which has everything that was acknowledged. If the primary does not answer, they are read one
   * by one with their tokens, because the memory of the sidecar may have them.
   */
  async getMany(keys: readonly string[], options: ReadOptions): Promise<Map<string, Entry<unknown>>> {
    const entries = new Map<string, Entry<unknown>>()
    const wanted: string[] = []
    const written: string[] = []
    for (const key of new Set(keys)) {
      const held = this.held(key, options.consistency)
      if (held) entries.set(key, entryOf(held))
      else if (held === undefined) {
        const isWritten = options.consistency !== 'strong' && this.#parts.tokens.of(key) !== undefined
        ;(isWritten ? written : wanted).push(key)
      }
    }
    const requests = [
      ...chunksOf(wanted).map((chunk) => this.#askMany(chunk, options)),
      ...chunksOf(written).map((chunk) => this.#askWritten(chunk, options)),
    ]
    for (const answers of await Promise.all(requests))
      for (const [key, entry] of answers) if (entry) entries.set(key, entry)
    return entries
  }

  async #askWritten(
    keys: readonly string[],
    options: ReadOptions,
  ): Promise<(readonly [key: string, entry: Entry<unknown> | undefined])[]> {
    try {
      return await this.#askMany(keys, { ...options, consistency: 'strong' })
    } catch (error) {
      if (!(error instanceof CachingLayerError) || error.status !== 503) throw error
      return Promise.all(keys.map(async (key) => [key, await this.ask(key, options)] as const))
    }
  }

  async #askMany(
    keys: readonly string[],
    options: ReadOptions,
  ): Promise<(readonly [key: string, entry: Entry<unknown> | undefined])[]> {
    const { requests, near } = this.#parts
    const flights = keys.map((key) => near?.open(key))
    try {
      const answers = await requests.getMany(keys, options)
      for (const [index, key] of keys.entries()) {
        const [flight, answer] = [flights[index], answers.get(key)]
        if (flight && answer) near?.answered(flight, nearAnswer(key, answer))
      }
      return Array.from(answers, ([key, { entry }]) => [key, entry] as const)
    } finally {
      for (const flight of flights) if (flight) near?.close(flight)
    }
  }
}

/** Returns what a read gives away of an entry that is held. */
export function entryOf({ content, etag }: NearEntry): Entry<unknown> {
  return { value: givenAway(content), source: 'near', stale: false, etag }
}

function nearAnswer(
  key: string,
  { entry, feed, remainingMs, bytes }: ReadAnswer,
): Parameters<NearCache['answered']>[1] {
  if (entry === undefined) return { key, feed, entry: undefined, remainingMs }
  const { value, etag, stale } = entry
  // A pending write has no tag.
  if (etag === undefined || stale) return { key, feed: undefined, entry: undefined, remainingMs }
  const version = etag.slice(1, etag.indexOf('-'))
  const size = (bytes ?? sizeOf(value)) + Buffer.byteLength(key)
  return { key, feed, entry: { content: held(value), version, etag, bytes: size }, remainingMs }
}

function sizeOf(value: unknown): number {
  return value instanceof Uint8Array ? value.length : Buffer.byteLength(JSON.stringify(value))
}

function chunksOf(keys: readonly string[]): readonly string[][] {
  return Array.from({ length: Math.ceil(keys.length / keysPerRequest) }, (_, index) =>
    keys.slice(index * keysPerRequest, (index + 1) * keysPerRequest),
  )
}
