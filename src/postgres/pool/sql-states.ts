import type pg from 'pg'
import type { CacheErrorCode } from '../../core/errors.js'

/**
 * What an error of a statement means, judged by its SQLSTATE. The message and the severity are translated by the server's
 * `lc_messages`. https://www.postgresql.org/docs/current/errcodes-appendix.html
 *
 * `lost`: the session has ended, or the server is in trouble. A write may have been committed.
 */
export type Meaning =
  | Exclude<CacheErrorCode, 'not-stored' | 'outcome-unknown' | 'login-refused' | 'store-locked'>
  | 'lost'

const byState: Readonly<Record<string, Meaning>> = {
  '2200H': 'store-failed', // sequence_generator_limit_exceeded: an operator's matter, and not the data's
  '25006': 'store-suspended', // read_only_sql_transaction: a standby, or a primary that is being replaced
  '25P03': 'lost', // idle_in_transaction_session_timeout
  '25P04': 'lost', // transaction_timeout
  '40001': 'row-locked', // serialization_failure
  '40003': 'lost', // statement_completion_unknown
  '40P01': 'row-locked', // deadlock_detected
  '42501': 'forbidden', // insufficient_privilege; row-level security, too
  '54000': 'refused', // program_limit_exceeded: such as an index row that is too large
  '55000': 'store-suspended', // object_not_in_prerequisite_state: what a standby says, which does not know its timeline
  '55P03': 'row-locked', // lock_not_available: lock_timeout
  '57014': 'store-busy', // query_canceled: statement_timeout
}

const byClass: Readonly<Record<string, Meaning>> = {
  '08': 'lost', // connection exceptions. A pooler reports a broken server link so, after the commit, too
  '0A': 'store-failed', // feature_not_supported
  '25': 'store-failed', // invalid transaction state, such as one that another client of the pooler has left
  '26': 'store-failed', // invalid SQL statement name
  '28': 'store-failed', // invalid authorization
  '2B': 'store-failed', // dependent objects
  '2D': 'store-failed', // invalid transaction termination
  '34': 'store-failed', // invalid cursor name
  '3D': 'store-failed', // invalid catalog name
  '3F': 'store-failed', // invalid schema name
  '40': 'row-locked', // transaction rollback
  '42': 'store-failed', // syntax, or objects that are not there
  '53': 'store-suspended', // insufficient resources: memory, disk, connections
  '54': 'store-failed', // program limit exceeded
  '55': 'store-failed', // object not in prerequisite state
  '57': 'lost', // operator intervention: shut down, crashed, database dropped, idle for too long
  '58': 'lost', // system error
  F0: 'store-failed', // configuration file
  XX: 'lost', // internal error
}

/** Returns what the error means. A state that is not known here is a trigger's or an application's own: it refuses the row. */
export function meaningOf({ code: state = '', file }: pg.DatabaseError): Meaning {
  if (state === '54000' && file === 'async.c') return 'queue-full'
  return byState[state] ?? byClass[state.slice(0, 2)] ?? 'refused'
}

/** States of a statement that finds no table, schema, function or column of ours. */
const notThere: ReadonlySet<string | undefined> = new Set(['42P01', '3F000', '42883', '42703'])

/** Returns true if the migrations may be what is missing. */
export function mayBeMissingMigrations(state: string | undefined): boolean {
  return notThere.has(state)
}

const lockTimeout = '55P03'

/** Files of PostgreSQL's source that report errors of a statement before it looks at any row: rights, planning. */
const beforeRows: ReadonlySet<string> = new Set(['aclchk.c', 'plancat.c'])

/**
 * Returns true if every row of the statement would fail alike, so that sending fewer of them is no use. An error in a row
 * has a context (`where`), such as the trigger it was raised in or the tuple that is locked. An error of the statement has a
 * position in its text instead.
 */
export function isOfWholeStatement({ code, where, position, file = '' }: pg.DatabaseError): boolean {
  if (where !== undefined) return false
  return position !== undefined || code === lockTimeout || beforeRows.has(file)
}

/** Returns true if the message names no data. A message that a function raised, or one about a value, may repeat the value. */
export function hasMessageWithoutData({ code: state = '', file }: pg.DatabaseError): boolean {
  return state.slice(0, 2) in byClass && file !== 'pl_exec.c'
}
