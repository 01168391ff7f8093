import type pg from 'pg'
import type { CacheErrorCode } from '../../core/errors.js'

/**
 * Meaning of a statement's error, judged by its SQLSTATE: the server translates the message and the severity according
 * to `lc_messages`. https://www.postgresql.org/docs/current/errcodes-appendix.html
 *
 * `lost`: the session has ended, or the server is in trouble. A write may have been committed.
 */
export type Meaning =
  | Exclude<CacheErrorCode, 'not-stored' | 'outcome-unknown' | 'login-refused' | 'store-locked'>
  | 'lost'

const byState: Readonly<Record<string, Meaning>> = {
  '2200H': 'store-failed', // sequence_generator_limit_exceeded: for an operator to fix; the data is not at fault
  '25006': 'store-suspended', // read_only_sql_transaction: a standby, or a primary that is being replaced
  '25P03': 'lost', // idle_in_transaction_session_timeout
  '25P04': 'lost', // transaction_timeout
  '40001': 'row-locked', // serialization_failure
  '40003': 'lost', // statement_completion_unknown
  '40P01': 'row-locked', // deadlock_detected
  '42501': 'forbidden', // insufficient_privilege; row-level security, too
  '54000': 'refused', // program_limit_exceeded: such as an index row that is too large
  '55P03': 'row-locked', // lock_not_available: lock_timeout
  '57014': 'store-busy', // query_canceled: statement_timeout
}

const byClass: Readonly<Record<string, Meaning>> = {
  '08': 'lost', // connection exceptions; a pooler reports a broken link to the server so, even after the commit
  '0A': 'store-failed', // feature_not_supported
  '25': 'store-failed', // invalid transaction state, for example left behind by another client of the pooler
  '26': 'store-failed', // invalid SQL statement name
  '28': 'store-failed', // invalid authorization
  '2B': 'store-failed', // dependent objects
  '2D': 'store-failed', // invalid transaction termination
  '34': 'store-failed', // invalid cursor name
  '3D': 'store-failed', // invalid catalog name
  '3F': 'store-failed', // invalid schema name
  '40': 'row-locked', // transaction rollback
  '42': 'store-failed', // syntax errors, missing objects
  '53': 'store-suspended', // insufficient resources: memory, disk, connections
  '54': 'store-failed', // program limit exceeded
  '55': 'store-failed', // object not in prerequisite state
  '57': 'lost', // operator intervention: shut down, crashed, database dropped, idle for too long
  '58': 'lost', // system error
  F0: 'store-failed', // configuration file
  XX: 'lost', // internal error
}

/** Returns the meaning of an error. An unknown state was chosen by a trigger or an application, and refuses the row. */
export function meaningOf({ code: state = '', file }: pg.DatabaseError): Meaning {
  if (state === '54000' && file === 'async.c') return 'queue-full'
  // A server in recovery cannot tell its timeline. Otherwise, 55000 lasts: for example without a replica identity.
  if (state === '55000' && file === 'xlogfuncs.c') return 'store-suspended'
  return byState[state] ?? byClass[state.slice(0, 2)] ?? 'refused'
}

/** SQLSTATEs of a statement that does not find a table, schema, function or column of ours. */
const notThere: ReadonlySet<string | undefined> = new Set(['42P01', '3F000', '42883', '42703'])

/** Returns true if the state may mean that migrations are missing. */
export function mayBeMissingMigrations(state: string | undefined): boolean {
  return notThere.has(state)
}

const lockTimeout = '55P03'

/** Source files of PostgreSQL that report errors before a statement looks at any row: rights, planning. */
const beforeRows: ReadonlySet<string> = new Set(['aclchk.c', 'plancat.c'])

/**
 * Returns true if every row of the statement would fail in the same way, so that it is no use to send fewer rows. An
 * error in a row has a context (`where`), such as the trigger that raised it or the locked tuple. An error of the
 * statement has a position in the text instead.
 */
export function isOfWholeStatement({ code, where, position, file = '' }: pg.DatabaseError): boolean {
  if (where !== undefined) return false
  return position !== undefined || code === lockTimeout || beforeRows.has(file)
}

/**
 * Returns true if the message contains no data. Messages raised by functions, or about a value, may repeat the value.
 */
export function hasMessageWithoutData({ code: state = '', file }: pg.DatabaseError): boolean {
  return state.slice(0, 2) in byClass && file !== 'pl_exec.c'
}
