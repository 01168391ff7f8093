import pg from 'pg'
import { CacheError, type CacheErrorCode, hasCode, PublicError } from '../../core/errors.js'
import { errorMessage } from '../../errors/error-message.js'
import { hasMessageWithoutData, isOfWholeStatement, meaningOf } from './sql-states.js'

/** Returns true if the server answered, rolled the statement back, and the connection can be used again. */
export function isStatementError(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && meaningOf(error) !== 'lost'
}

/**
 * Returns true if only the session can show whether the statement was rolled back. Errors of class 53 (resources), 58
 * (system) and XX (internal) concern either the statement or the whole server. In the second case the server ends
 * (PANIC), possibly after it has recorded the commit.
 */
export function needsSession(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && /^(53|58|XX)/.test(error.code ?? '')
}

/** Returns true for an error of PostgreSQL itself, and false for one of a pooler, which names no source file. */
export function isOfServer({ file, routine }: pg.DatabaseError): boolean {
  return file !== undefined && routine !== undefined
}

/**
 * Translates the error of a failed statement. If there is no answer (the connection was lost, or our own timeout
 * passed), or if the answer ends the session and may have come after the commit, a read has failed, and the outcome of
 * a write is unknown. Set `isUsable` to true if nothing was committed, and the connection can be used again.
 */
export function statementFailed(error: unknown, kind: 'read' | 'write', isUsable = false): CacheError {
  const lost = error instanceof pg.DatabaseError ? meaningOf(error) : 'lost'
  // An internal error concerns a row, such as a damaged one, if nothing can have been committed.
  const isOfRow = isUsable || (kind === 'read' && error instanceof pg.DatabaseError && isRaisedForRow(error))
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

/**
 * Returns true for an internal error, and for an SQLSTATE that a function in PL/pgSQL has chosen, such as that of a
 * policy.
 */
function isRaisedForRow({ code = '', file }: pg.DatabaseError): boolean {
  return /^(XX|58)/.test(code) || file === 'pl_exec.c'
}

/** Returns the error for a statement whose outcome the client was not told. */
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
 * Returns true if the statement may be sent again, on another connection. A read may be sent again after any loss of
 * its connection, but not after our own timeout. A write may be sent again only if it was certainly not run: the server
 * had closed the idle session before, or refused its outdated plan.
 */
export function mayBeRepeated(error: unknown, kind: 'read' | 'write'): boolean {
  if (planIsOutdated(error)) return true
  if (error instanceof pg.DatabaseError && error.code === idleSessionTimeout) return true
  return kind === 'read' && !isStatementError(error) && messageOf(error) !== readTimeout
}

const idleSessionTimeout = '57P05'
/** Message of pg's own query timeout. */
const readTimeout = 'Query read timeout'

/**
 * Returns true if the server connection does not have the prepared statement, or already has one of that name. A pooler
 * that switches server connections causes this.
 */
export function wasNotPrepared(error: unknown): boolean {
  return error instanceof pg.DatabaseError && (error.code === '26000' || error.code === '42P05')
}

/** Returns true if the table was altered after the connection prepared the statement. */
export function planIsOutdated(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '0A000'
}

/** Returns true if a pooler (PgBouncer) refuses our startup parameters. */
export function refusesSettings(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /unsupported startup parameter/.test(error.message)
}

/**
 * Returns the error for a failure to connect, after which no statement was sent. A PublicError comes from the login,
 * for example if the password is missing.
 */
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

/**
 * Error codes by SQLSTATE class, for servers that refuse a connection. 28 authorization, 3D no such database, 53
 * limits.
 */
const refusals: Readonly<Record<string, CacheErrorCode>> = {
  '28': 'login-refused',
  '3D': 'login-refused',
  '42': 'login-refused', // no right to connect
  '55': 'login-refused', // the database allows no connections
  '53': 'store-suspended',
}

/**
 * Returns true if the server did not answer, or cannot serve at present: 08 connection exceptions, 53300 too many
 * connections, 57P01 to 57P03 shutting down, crashed, starting up. Any other error shows that the server answers.
 */
export function isUnreachable(error: unknown): boolean {
  if (!hasCode(error, 'store-unavailable', 'store-suspended', 'outcome-unknown')) return false
  const state = sqlState(error)
  return state === undefined || /^(08...|53300|57P0[123])$/.test(state)
}

/** Returns true if another transaction caused a rollback: 40001 serialization failure, 40P01 deadlock. */
export function isUndone(error: unknown): boolean {
  return ['40001', '40P01'].includes(sqlState(error) ?? '')
}

/** Returns true if the statement has certainly done nothing, and may succeed in a moment. */
export function mayBeTriedAgain(error: unknown): boolean {
  return isUndone(error) || (hasCode(error, 'store-unavailable', 'store-suspended') && isUnreachable(error))
}

/** Returns true after our own timeout on an established connection. The statement may just have been slow. */
export function isReadTimeout(error: unknown): boolean {
  return error instanceof CacheError && messageOf(error.cause) === readTimeout
}

/** Returns the SQLSTATE behind a CacheError, if the server sent one. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof CacheError && error.cause instanceof pg.DatabaseError ? error.cause.code : undefined
}

/** Node's error codes for an unreachable server. */
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
/** Messages of pg for a server that accepts a connection, and then closes it or does not answer. */
const noAnswer = /^(Connection terminated|timeout expired)/

/** Returns true if connecting failed, but may succeed once the server has started. Follows `cause`. */
export function mayBecomeReachable(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(mayBecomeReachable)
  if (!(error instanceof Error)) return false
  const { code = '' } = error as NodeJS.ErrnoException
  return (
    notThere.has(code) || notNow.has(code) || noAnswer.test(error.message) || mayBecomeReachable(error.cause)
  )
}

const unknownAuthority = "the database's certificate is signed by no authority that sslrootcert names"

/** Messages by the error codes of OpenSSL and Node, whose own messages name no setting. */
const tlsFailures: Readonly<Record<string, string>> = {
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  ERR_TLS_CERT_ALTNAME_INVALID: "the database's certificate is for another host name",
}

/** Returns the message of an error, and before it the setting that a failure of TLS is about. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0])
  const failure = error instanceof Error && tlsFailures[(error as NodeJS.ErrnoException).code ?? '']
  return failure ? `${failure}: ${errorMessage(error)}` : errorMessage(error)
}
