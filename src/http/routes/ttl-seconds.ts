import { RequestError } from './problem.js'

/** Longest time to live of an entry, in seconds: 31 years. `CACHE_TTL_SECONDS` has the same limit. */
const longestSeconds = 1_000_000_000
const shortestSeconds = 0.001

/** Returns a time to live in ms; undefined if there is none. `name` is that of the member. Throws 422. */
export function parseTtl(seconds: unknown, name = 'ttl_seconds'): number | undefined {
  if (seconds === undefined) return undefined
  const isTtl = typeof seconds === 'number' && seconds >= shortestSeconds && seconds <= longestSeconds
  if (!isTtl)
    throw new RequestError(
      422,
      `${name}: must be a number of seconds from ${shortestSeconds} to ${longestSeconds}; without it, the entry does not expire`,
    )
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
