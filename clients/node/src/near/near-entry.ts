import type { Version } from '../../../../src/core/entry.js'

/** An entry that this process holds. */
export interface NearEntry {
  readonly key: string
  /** The value, decoded once. It is frozen, because every hit returns the same object. */
  readonly content: unknown
  readonly version: Version
  readonly etag: string
  /** True if a hit needs the lease of the outbox, too (P17). */
  readonly viaOutbox: boolean
  /** Time of expiry by the clock of this process, in ms. */
  readonly expiresAtMs: number
  /** Size of key and value in UTF-8, as they were sent. */
  readonly bytes: number
}

/** Freezes a decoded JSON value with everything in it. Bytes cannot be frozen; hits return copies of them. */
export function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  for (const member of Object.values(value)) frozen(member)
  return Object.freeze(value)
}

/** Returns what a hit may give away of a value that is held. */
export function givenAway(content: unknown): unknown {
  return content instanceof Uint8Array ? content.slice() : content
}
