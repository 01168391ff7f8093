import type { Version } from '../../../../src/core/entry.js'
import { CachingLayerError } from '../caching-layer-error.js'
import type { ServerSentEvent } from './event-parser.js'

/** An event of `GET /v1/changes` (docs/reference/http-api.md). */
export type StreamEvent =
  | { readonly kind: 'open'; readonly stream: string; readonly feed: string; readonly maxStalenessMs: number }
  | {
      readonly kind: 'change'
      /** Undefined for a key of more than 512 bytes, of which only the SHA-256 is known. */
      readonly key: string | undefined
      readonly keyHash: string | undefined
      /** Undefined for a bound row. */
      readonly version: Version | undefined
      readonly isDeleted: boolean
    }
  | { readonly kind: 'gap'; readonly feed: string }
  | {
      readonly kind: 'proof'
      readonly question: string
      readonly elapsedMs: number
      /** Ages of the leases; `Infinity` before the sidecar has caught up for the first time. */
      readonly ageMs: number
      readonly outboxAgeMs: number
    }

/** Returns undefined for an event that a later sidecar may send. Throws a CachingLayerError for one that is not valid. */
export function streamEventOf({ name, data }: ServerSentEvent): StreamEvent | undefined {
  if (!['open', 'change', 'gap', 'proof'].includes(name)) return undefined
  const members = new Members(name, data)
  switch (name) {
    case 'open':
      return {
        kind: 'open',
        stream: members.text('stream'),
        feed: members.text('feed'),
        maxStalenessMs: members.number('max_staleness_ms'),
      }
    case 'change':
      return {
        kind: 'change',
        key: members.optionalText('key'),
        keyHash: members.optionalText('key_hash'),
        version: members.optionalText('version'),
        isDeleted: members.isTrue('deleted'),
      }
    case 'gap':
      return { kind: 'gap', feed: members.text('feed') }
    default:
      return {
        kind: 'proof',
        question: members.text('question'),
        elapsedMs: members.number('elapsed_ms'),
        ageMs: members.age('age_ms'),
        outboxAgeMs: members.age('outbox_age_ms'),
      }
  }
}

/** The members of the data of an event. */
class Members {
  readonly #name: string
  readonly #members: Readonly<Record<string, unknown>>

  constructor(name: string, data: string) {
    this.#name = name
    this.#members = objectOf(data) ?? this.#invalid('data')
  }

  optionalText(member: string): string | undefined {
    const value = this.#members[member]
    return typeof value === 'string' ? value : undefined
  }

  text(member: string): string {
    return this.optionalText(member) ?? this.#invalid(member)
  }

  number(member: string): number {
    const value = this.#members[member]
    return typeof value === 'number' ? value : this.#invalid(member)
  }

  age(member: string): number {
    return this.#members[member] === null ? Number.POSITIVE_INFINITY : this.number(member)
  }

  isTrue(member: string): boolean {
    return this.#members[member] === true
  }

  #invalid(member: string): never {
    throw new CachingLayerError({
      kind: 'invalid-response',
      detail: `stream of changes: event ${this.#name}: invalid ${member}`,
    })
  }
}

function objectOf(data: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(data)
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
