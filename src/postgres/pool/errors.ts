import pg from 'pg'
import { CacheError, type CacheErrorCode, hasCode, PublicError } from '../../core/errors.js'
import { hasMessageWithoutData, isOfWholeStatement, meaningOf } from './sql-states.js'

/** Returns true if the server answered, rolled the statement back, and the connection can be used again. */
export function isStatementError(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && meaningOf(error) !== 'lost'
}

/**
 * Returns true if the session has to tell whether the statement was rolled back. Classes 53 (resources), 58 (system) and XX
 * (internal) are errors of a statement, or of the server, which then ends (PANIC), maybe in a commit that it has recorded.
 */
export function needsSession(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && /^(53|58|XX)/.test(error.code ?? '')
}

/** Returns true for an error of PostgreSQL itself, and false for one that a pooler has made: it names no source file. */
export function isOfServer({ file, routine }: pg.DatabaseError): boolean {
  return file !== undefined && routine !== undefined
}

/**
 * Returns what a failed statement means. Without an answer (the connection was lost, or our own timeout passed), or with one
 * that ends the session and may have come after the commit, a read has failed and the outcome of a write is unknown.
 * `isUsable`: nothing was committed, and the connection goes on.
 */
export function statementFailed(error: unknown, kind: 'read' | 'write', isUsable = false): CacheError {
  const lost = error instanceof pg.DatabaseError ? meaningOf(error) : 'lost'
  // An internal error is one of a row, such as a damaged one, as long as there is nothing that may have been committed.
  const isOfRow =
    isUsable || (kind === 'read' && /^(XX|58)/.test((error as pg.DatabaseError | undefined)?.code ?? ''))
  const meaning = lost === 'lost' && isOfRow && error instanceof pg.DatabaseError ? 'store-failed' : lost
  if (meaning === 'lost') return connectionLost(error, kind)
  const { code: state, message } = error as pg.DatabaseError
  const isWhole = isOfWholeStatement(error as pg.DatabaseError)
  const shown = hasMessageWithoutData(error as pg.DatabaseError) ? message : 'the statement failed'
  return new CacheError(
    meaning === 'row-locked' && isWhole ? 'store-locked' : meaning,
    `${shown} (SQLSTATE ${state})`,
    { cause: error, isOfWholeStatement: isWhole },
  )
}

/** Returns what it means that nobody knows how a statement ended. */
export function connectionLost(cause: unknown, kind: 'read' | 'write'): CacheError {
  const state = cause instanceof pg.DatabaseError ? ` (SQLSTATE ${cause.code})` : ''
  if (kind === 'read' && messageOf(cause) === readTimeout)
    return new CacheError('store-busy', 'the database did not answer in time', {
      cause,
      isOfWholeStatement: true,
    })
  // The server closed the session before the statement came.
  if (kind === 'read' || (cause instanceof pg.DatabaseError && cause.code === idleSessionTimeout))
    return new CacheError('store-unavailable', `the connection to the database was lost${state}`, { cause })
  return new CacheError(
    'outcome-unknown',
    `the connection was lost before the database confirmed the write${state}`,
    { cause },
  )
}

/**
 * May the statement be sent again, on another connection? A read may after any loss of its connection, though
 * not after our own timeout. A write only when it was certainly not run: the server had closed the idle session
 * before it came, or refused its outdated plan.
 */
export function mayBeRepeated(error: unknown, kind: 'read' | 'write'): boolean {
  if (planIsOutdated(error)) return true
  if (error instanceof pg.DatabaseError && error.code === idleSessionTimeout) return true
  return kind === 'read' && !isStatementError(error) && messageOf(error) !== readTimeout
}

const idleSessionTimeout = '57P05'
/** What pg says. */
const readTimeout = 'Query read timeout'

/** The server connection behind a pooler is not the one that prepared the statement, or has it prepared already. */
export function wasNotPrepared(error: unknown): boolean {
  return error instanceof pg.DatabaseError && (error.code === '26000' || error.code === '42P05')
}

/** The connection prepared the statement for a table that has been altered since. */
export function planIsOutdated(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '0A000'
}

/** A pooler (PgBouncer) that does not take the settings we begin a session with. */
export function refusesSettings(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /unsupported startup parameter/.test(error.message)
}

/** No connection could be had: nothing was sent. A PublicError is one of logging in, such as a missing password. */
export function connectFailed(error: unknown): CacheError {
  const state = error instanceof pg.DatabaseError ? (error.code ?? '') : ''
  return new CacheError(
    refusals[state.slice(0, 2)] ?? (error instanceof PublicError ? 'login-refused' : 'store-unavailable'),
    `no connection to the database: ${messageOf(error)}`,
    {
      cause: error,
      isOfWholeStatement: true,
    },
  )
}

/** By the class of the SQLSTATE: what a server means that lets nobody in. 28 authorization, 3D no such database, 53 limits. */
const refusals: Readonly<Record<string, CacheErrorCode>> = {
  '28': 'login-refused',
  '3D': 'login-refused',
  '42': 'login-refused', // no right to connect
  '55': 'login-refused', // the database allows no connections
  '53': 'store-suspended',
}

/**
 * Nobody answered, or somebody who cannot serve now: 08 connection exceptions, 53300 too many connections, 57P01 to
 * 57P03 shutting down, crashed, starting up. What failed for another reason was an answer.
 */
export function isUnreachable(error: unknown): boolean {
  if (!hasCode(error, 'store-unavailable', 'store-suspended', 'outcome-unknown')) return false
  const state = sqlState(error)
  return state === undefined || /^(08...|53300|57P0[123])$/.test(state)
}

/** Rolled back because of another transaction: 40001 serialization failure, 40P01 deadlock. */
export function isUndone(error: unknown): boolean {
  return ['40001', '40P01'].includes(sqlState(error) ?? '')
}

/** It has certainly done nothing, and may do better in a moment. */
export function mayBeTriedAgain(error: unknown): boolean {
  return isUndone(error) || (hasCode(error, 'store-unavailable', 'store-suspended') && isUnreachable(error))
}

/** Our own timeout, on a connection that there is: the statement may only have been slow. */
export function isReadTimeout(error: unknown): boolean {
  return error instanceof CacheError && messageOf(error.cause) === readTimeout
}

/** The SQLSTATE behind a CacheError, where the server gave one. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof CacheError && error.cause instanceof pg.DatabaseError ? error.cause.code : undefined
}

/** Node's codes for a server that is not there, or not there yet. */
const notThere: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
])
/** SQLSTATEs: cannot connect now (starting up, shutting down), too many connections. */
const notNow: ReadonlySet<string> = new Set(['57P03', '53300'])
/** What pg says of a server that accepts a connection and closes it, or says nothing. */
const noAnswer = /^(Connection terminated|timeout expired)/

/** True if connecting failed, and may succeed once the server has started. Looks through `cause`. */
export function mayBecomeReachable(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(mayBecomeReachable)
  if (!(error instanceof Error)) return false
  const { code = '' } = error as NodeJS.ErrnoException
  return (
    notThere.has(code) || notNow.has(code) || noAnswer.test(error.message) || mayBecomeReachable(error.cause)
  )
}

const unknownAuthority = "the database's certificate is signed by no authority that sslrootcert names"

/** By the codes of OpenSSL and Node, whose own words name no setting. */
const tlsFailures: Readonly<Record<string, string>> = {
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  ERR_TLS_CERT_ALTNAME_INVALID: "the database's certificate is for another host name",
}

/** Node's AggregateError (several addresses refused) has an empty message of its own. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0])
  if (!(error instanceof Error)) return String(error)
  const failure = tlsFailures[(error as NodeJS.ErrnoException).code ?? '']
  return failure === undefined ? error.message : `${failure}: ${error.message}`
}
