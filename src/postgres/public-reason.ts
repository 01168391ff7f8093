import pg from 'pg'
import { messageOf } from './errors.js'

/** What a server says in an error names roles, hosts and databases. These are the SQLSTATEs that keep a sidecar from its feed. */
const bySqlState: Readonly<Record<string, string>> = {
  '25006': 'the server is read-only',
  '28000': 'the role is not permitted to log in from here',
  '28P01': 'password authentication failed',
  '3D000': 'there is no such database',
  '42501': 'a right is missing',
  '53300': 'too many connections',
  '55000': 'the server cannot do this in its present state, such as a standby in recovery',
  '57P01': 'the server was shut down',
  '57P02': 'the server has crashed',
  '57P03': 'the server is starting up or shutting down',
}

/** Returns why there is no change feed, without a role, a host or a path, for whoever may ask for `/health`. The log has it all. */
export function publicReason(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return publicReason(error.errors[0])
  if (!(error instanceof Error)) return 'the reason is in the log'
  const root = rootOf(error)
  if (root instanceof pg.DatabaseError)
    return `${bySqlState[root.code ?? ''] ?? 'the database reported an error'} (SQLSTATE ${root.code})`
  const { code } = root as NodeJS.ErrnoException
  if (typeof code !== 'string') return messageOf(error)
  // Of TLS: what comes before the colon is ours.
  const [first = ''] = messageOf(root).split(': ', 1)
  return first !== root.message && /certificate/.test(first)
    ? first
    : `no connection to the database: ${code}`
}

/** The error of the server or the system behind one of ours. */
function rootOf(error: Error): Error {
  const { cause } = error
  if (cause instanceof AggregateError && cause.errors[0] instanceof Error) return cause.errors[0]
  return cause instanceof Error ? rootOf(cause) : error
}
