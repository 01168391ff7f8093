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
