import type { Entry, Value, Written } from '../entry.js'
import type { MediaType } from '../media-type.js'
import type { SessionToken } from '../state/session-token.js'

/** Options of a read. */
export interface ReadOptions {
  /** True to ask the primary, after this read arrived (P10). */
  readonly strong?: boolean
  /** Token of a write; the value must not be older than that write (P11). */
  readonly token?: SessionToken | undefined
}

/**
 * Reason why the store was asked: no entry held, an entry that is not provably fresh or has expired, or the reader's
 * request.
 */
export type Forwarded = 'miss' | 'stale' | 'request'

/**
 * Reason why a value is served from memory without proof: the lease has run out or the store is unavailable, or the
 * value is a pending write.
 */
export type StaleReason = 'unproven' | 'kept'

export interface ReadResult {
  /** Value of the entry; undefined if there is none, as the store or memory says. */
  readonly value: Value | undefined
  readonly mediaType?: MediaType | undefined
  /** The write that the value is from; undefined for a pending write, and if there is no value. */
  readonly written?: Written | undefined
  /** Reason why the store was asked; undefined for a value from memory. */
  readonly forwarded?: Forwarded
  /** True if the answer came from a fill that another read had started. */
  readonly collapsed?: boolean
  /** True if the store confirmed the value held, which was not transferred. */
  readonly revalidated?: boolean
  /** True if the answer, an entry or its absence, is now held in memory. */
  readonly stored?: boolean
  readonly stale?: StaleReason
  /** Time since the store was asked, in ms. */
  readonly ageMs: number
  /**
   * Remaining time to live, in ms; `Infinity` if the entry does not expire, undefined for a value that is not from
   * memory.
   */
  readonly ttlMs?: number
  /**
   * Remaining time to live of the row (P12), or of the absence of a row of a bound query (P18), in ms; undefined if it
   * does not expire.
   */
  readonly expiresInMs?: number | undefined
}

/** Returns the remaining time to live of the row of an entry, in ms; undefined if the row does not expire. */
export function expiresInMs({ rowExpiresAtMs }: Entry, nowMs: number): number | undefined {
  return rowExpiresAtMs === Number.POSITIVE_INFINITY ? undefined : rowExpiresAtMs - nowMs
}
