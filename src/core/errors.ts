/**
 * Errors of the store, as far as a caller can act on them.
 *
 * - `store-unavailable`: cannot be reached; a write has certainly not happened.
 * - `login-refused`: reached, but refuses the credentials; a write has certainly not happened.
 * - `store-suspended`: reached, but read-only or out of resources at the moment; a write has certainly not happened.
 * - `store-not-ready`: reached, but the table does not exist yet; a write has certainly not happened.
 * - `store-busy`: reached, but did not finish within the time limit; a write has certainly not happened.
 * - `store-failed`: an operator must repair the database or its schema; a write has certainly not happened.
 * - `row-locked`: like `store-busy`, because another transaction holds a lock that the statement needs.
 * - `store-locked`: like `row-locked`, but the whole table is locked, or a commit waits for another server or
 *   transaction.
 * - `queue-full`: the database cannot announce changes, so no write can commit; a write has certainly not happened.
 * - `outcome-unknown`: the connection was lost around a commit; the write may or may not have happened (P3).
 * - `forbidden`: the database role lacks a right; a write has certainly not happened.
 * - `refused`: the store does not accept this data; the same write would fail again.
 * - `too-large`: the value in the store exceeds the memory for one value; the next read would fail again.
 * - `too-large-together`: the values of a request for many keys exceed the memory for one statement; the same request
 *   would fail again.
 * - `bound-key`: the key belongs to a binding, so it is changed in the tables of the binding (P16, P18).
 * - `binding-unusable`: the table or the query of a binding cannot be read, while others can (P16, P18).
 * - `not-stored`: the store accepted the write, but has no entry under its key: a trigger or rule renamed it or left it
 *   out.
 */
export type CacheErrorCode =
  | 'store-unavailable'
  | 'login-refused'
  | 'store-suspended'
  | 'store-not-ready'
  | 'store-busy'
  | 'store-failed'
  | 'row-locked'
  | 'store-locked'
  | 'queue-full'
  | 'outcome-unknown'
  | 'forbidden'
  | 'refused'
  | 'too-large'
  | 'too-large-together'
  | 'bound-key'
  | 'binding-unusable'
  | 'not-stored'

/** Errors that can pass without a change of the write, which is therefore kept as a pending write (P9). */
export const passingErrors: readonly CacheErrorCode[] = [
  'store-unavailable',
  'login-refused',
  'store-suspended',
  'store-not-ready',
]

/** Explanation of each code in words. Names no object, role or host, because clients and the pod network read it. */
export const explanations: Readonly<Record<CacheErrorCode, string>> = {
  'store-unavailable': 'The database cannot be reached',
  'login-refused':
    'The database refuses the login: no password or a wrong one, or a role or database that does not exist or allows no connections',
  'store-suspended':
    'The database accepts no statements at the moment: it is read-only, or out of disk space, memory or connections',
  'store-not-ready': 'The database has no table for the cache yet: run "caching-layer migrate"',
  'store-busy': 'The database did not answer in time',
  'store-failed':
    'The database reports an error that an operator must fix: see the log, and run "caching-layer doctor"',
  'row-locked': 'The entry is locked in the database',
  'store-locked':
    'The statement has to wait: another transaction has locked the table, or a commit waits for a standby',
  'queue-full': 'The database cannot announce changes: its notification queue is full',
  'outcome-unknown':
    'The outcome of the write is unknown: the connection was lost before the database confirmed it',
  forbidden: 'The database role does not have the right to do this: see sql/least-privilege.sql',
  refused: 'The database refused the value',
  'too-large': 'The value in the database is too large for the memory of a sidecar: see CACHE_MEMORY_BYTES',
  'too-large-together':
    'The values of these keys are too large together for one statement: ask for fewer keys, or see CACHE_MEMORY_BYTES',
  'bound-key': 'The key is bound to rows of tables: change these instead',
  'binding-unusable':
    'The key is bound to a table or a query that cannot be read at the moment: see the log, and run "caching-layer doctor"',
  'not-stored':
    'The database did not store or delete the entry under this key: a trigger or rule renamed it or left it out',
}

export interface CacheErrorOptions {
  readonly cause?: unknown
  /** True if the statement would fail whichever rows it contains. */
  readonly isOfWholeStatement?: boolean
  /** Key of the entry that caused the error, in a request for many keys. */
  readonly key?: string | undefined
  /** More precise words than those of `explanations`, under the same condition. */
  readonly explanation?: string | undefined
}

export class CacheError extends Error {
  readonly code: CacheErrorCode
  readonly isOfWholeStatement: boolean
  readonly key: string | undefined
  /** Explanation for clients. Names no object, role or host. */
  readonly explanation: string

  constructor(
    code: CacheErrorCode,
    message: string,
    { cause, isOfWholeStatement = false, key, explanation = explanations[code] }: CacheErrorOptions = {},
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'CacheError'
    this.code = code
    this.isOfWholeStatement = isOfWholeStatement
    this.key = key
    this.explanation = explanation
  }

  /** Returns the same error with other options. */
  with(options: Pick<CacheErrorOptions, 'key' | 'isOfWholeStatement'>): CacheError {
    return new CacheError(this.code, this.message, { ...this, cause: this.cause, ...options })
  }
}

/**
 * An error whose `publicReason` may be shown to anybody in the pod network: it names no role, host, path or object of
 * the database. The message is for the log.
 */
export class PublicError extends Error {
  override readonly name: string = 'PublicError'
  readonly publicReason: string

  constructor(message: string, publicReason = message) {
    super(message)
    this.publicReason = publicReason
  }
}

/** Returns true if `error` is a CacheError with one of the codes. */
export function hasCode(error: unknown, ...codes: readonly CacheErrorCode[]): error is CacheError {
  return error instanceof CacheError && codes.includes(error.code)
}
