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

/**
 * Returns what is held of a value that the caller of a read gets, too: a decoded JSON value itself, frozen with everything
 * in it. Bytes cannot be frozen, so the caller's and those of each hit are copies.
 */
export function held(value: unknown): unknown {
  return value instanceof Uint8Array ? value.slice() : frozen(value)
}

function frozen(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) frozen(member)
  return Object.freeze(value)
}

/** Returns what a hit may give away of a value that is held. */
export function givenAway(content: unknown): unknown {
  return content instanceof Uint8Array ? content.slice() : content
}
