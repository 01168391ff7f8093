import type { Value } from '../entry.js'
import type { SessionToken } from '../state/session-token.js'

/** What a reader asks for beyond the key. */
export interface ReadOptions {
  /** Ask the primary, after this read arrived (P10). */
  readonly strong?: boolean
  /** Not older than the write that this token came from (P11). */
  readonly token?: SessionToken | undefined
}

/** Why the store was asked: nothing here, not provably fresh or past its time to live, or the reader's wish. */
export type Forwarded = 'miss' | 'stale' | 'request'

/** Served from memory without proof: the feed is down, the store is away, or the write is still kept here. */
export type StaleReason = 'unproven' | 'kept'

export interface ReadResult {
  /** Undefined where there is no entry. */
  readonly value: Value | undefined
  /** Undefined for a value from memory. */
  readonly forwarded?: Forwarded
  /** The answer came from a fill that another read had begun. */
  readonly collapsed?: boolean
  /** The store said that the value held is the latest; it did not travel. */
  readonly revalidated?: boolean
  /** The answer is now held in memory. */
  readonly stored?: boolean
  readonly stale?: StaleReason
  /** How long ago the store was asked, in ms. */
  readonly ageMs: number
  /** Time to live left, in ms; `Infinity` for no expiry, undefined for a value that is not from memory. */
  readonly ttlMs?: number
}
