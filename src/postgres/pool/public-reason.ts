import pg from 'pg'
import { PublicError } from '../../core/errors.js'
import { messageOf } from './errors.js'

/**
 * Public reasons by SQLSTATE, for the states that can prevent the change feed. The server's own messages name roles,
 * hosts and databases.
 */
const bySqlState: Readonly<Record<string, string>> = {
  '25006': 'the server is read-only',
  '28000': 'the role is not permitted to log in from here',
  '28P01': 'password authentication failed',
  '3D000': 'there is no such database',
  '42501': 'a right is missing: see the log, and run "caching-layer doctor"',
  '53300': 'too many connections',
  '55000': 'the server cannot do this in its present state, such as a standby in recovery',
  '57P01': 'the server was shut down',
  '57P02': 'the server has crashed',
  '57P03': 'the server is starting up or shutting down',
}

const fallback = 'see the log, and run "caching-layer doctor"'

/** Messages of the driver itself. They name no host, role or database. */
const ofDriver =
  /^(Connection terminated|Connection ended|timeout expired|Query read timeout|The server does not support SSL)/

/**
 * Returns the reason why there is no change feed, for everybody who may ask for `/health`: it names no role, host, path
 * or object of the database. The log has the full message.
 */
export function publicReason(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return publicReason(error.errors[0])
  if (error instanceof PublicError) return error.publicReason
  if (!(error instanceof Error)) return fallback
  if (error.cause !== undefined) return publicReason(error.cause)
  if (error instanceof pg.DatabaseError) {
    const known = bySqlState[error.code ?? '']
    return known
      ? `${known} (SQLSTATE ${error.code})`
      : `the database reported an error (SQLSTATE ${error.code}): ${fallback}`
  }
  if (ofDriver.test(error.message)) return error.message
  const { code } = error as NodeJS.ErrnoException
  if (typeof code !== 'string') return fallback
  // A TLS error: the part before the colon is our own text.
  const [first = ''] = messageOf(error).split(': ', 1)
  return first !== error.message && /certificate/.test(first)
    ? first
    : `no connection to the database: ${code}`
}
