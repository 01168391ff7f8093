/**
 * What can go wrong with the store, as far as a caller can act on it.
 *
 * - `store-unavailable`: not reached, or it cannot serve; a write has certainly not happened.
 * - `store-busy`: reached, but not done within the time bound; a write has certainly not happened.
 * - `row-locked`: as `store-busy`, because another transaction holds a row that the statement needs.
 * - `queue-full`: the database cannot announce changes, so no write can commit; a write has certainly not happened.
 * - `outcome-unknown`: the connection was lost around a commit; the write may or may not have happened (P3).
 * - `refused`: the store does not take this data; the same write would fail again.
 * - `not-stored`: the store took the write and has no entry under its key: a trigger or rule renamed it or left it out.
 */
export type CacheErrorCode =
  | 'store-unavailable'
  | 'store-busy'
  | 'row-locked'
  | 'queue-full'
  | 'outcome-unknown'
  | 'refused'
  | 'not-stored'

export class CacheError extends Error {
  readonly code: CacheErrorCode

  constructor(code: CacheErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'CacheError'
    this.code = code
  }
}

export function hasCode(error: unknown, ...codes: readonly CacheErrorCode[]): boolean {
  return error instanceof CacheError && codes.includes(error.code)
}

/** What it says, whatever was thrown. */
export function reasonIn(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
