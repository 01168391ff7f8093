import { checked } from './schemas/checked.js'
import { ttlSeconds } from './schemas/fields.js'

/** Returns a time to live in ms; undefined if there is none. `name` is that of the member. Throws 422. */
export function parseTtl(seconds: unknown, name = 'ttl_seconds'): number | undefined {
  return seconds === undefined ? undefined : ttlMs(checked(ttlSeconds, seconds, name))
}

export function ttlMs(seconds: number): number {
  return Math.round(seconds * 1_000)
}

/** Returns a remaining time to live in seconds, never more than it is. */
export function expiresInSeconds(remainingMs: number): number {
  return Math.max(0, Math.floor(remainingMs)) / 1_000
}

/** Returns the member of a response for the remaining time to live; empty if the entry does not expire. */
export function expiryMember(remainingMs: number | undefined): string {
  return remainingMs === undefined ? '' : `,"expires_in_seconds":${expiresInSeconds(remainingMs)}`
}
