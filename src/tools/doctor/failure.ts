import pg from 'pg'
import { PublicError } from '../../core/errors.js'
import { messageOf } from '../../postgres/pool/errors.js'
import { quoteIdentifier } from '../../postgres/schema/schema-owner.js'
import { bad, type Finding, runAs } from './finding.js'

/** Cures by SQLSTATE, for failures that no check expects. */
const cures: Readonly<Record<string, string>> = {
  '25006': 'connect to a primary that accepts writes, and reset default_transaction_read_only',
  '25P04': 'raise transaction_timeout for this role: a request takes up to DATABASE_TIMEOUT_MS',
  '42P01': 'run "caching-layer migrate" as the owner',
  '42501': 'as the owner, grant this role what sql/least-privilege.sql grants',
  '53100': "free disk space on the server: the server's log names the file system",
  '53200': "give the server more memory, or lower work_mem: the server's log has the details",
  '53300': 'raise max_connections, or the connection limit of the role or the database, or end idle sessions',
  '55000':
    'if the table is in a publication, give it a replica identity: alter table cache_entries replica identity default',
  '55P03': 'end the session that holds the lock: pg_locks and pg_stat_activity show it',
  '57014': 'raise statement_timeout for this role, unless somebody cancelled the statement',
}

/**
 * Returns a finding for an error that a check did not expect. `subject` is the setting that led to it, such as
 * `DATABASE_URL`. `role` is the role that connected.
 */
export function failure(check: string, subject: string, error: unknown, role?: string): Finding {
  return bad(check, reasonOf(error), cureOf(subject, error, role))
}

export function reasonOf(error: unknown): string {
  const state = stateOf(error)
  const message = messageOf(underlying(error))
  return state === undefined ? message : `${message} (SQLSTATE ${state})`
}

/** Returns the SQLSTATE, if the server sent one. */
export function stateOf(error: unknown): string | undefined {
  return databaseError(error)?.code
}

export function databaseError(error: unknown): pg.DatabaseError | undefined {
  const found = underlying(error)
  return found instanceof pg.DatabaseError ? found : undefined
}

/** Returns the original error at the end of the chain of causes. */
function underlying(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? underlying(error.cause) : error
}

export function cureOf(subject: string, error: unknown, role?: string): string {
  const found = underlying(error)
  const { code = '' } = found as { code?: string }
  const message = messageOf(found)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `no such host: correct the host in ${subject}`
  if (code === 'ECONNREFUSED' || /ECONNREFUSED/.test(message))
    return `nothing listens there: start PostgreSQL, or correct host and port in ${subject}`
  // The server translates the message, including its quotes, but not the name of the routine in PostgreSQL's source.
  const { routine } = found as { routine?: string }
  const [, named] = message.split(/["«»„“”‚‘’']/)
  // The same routine reports a role that does not exist. If the message is translated, that is not noticed here: the
  // cure fails then, and its error says why.
  const isNoRole = /does not exist/.test(message)
  if (code === '28000' && routine === 'InitializeSessionUserId' && named !== undefined && !isNoRole)
    return runAs('a superuser', `alter role ${quoteIdentifier(named)} login`)
  if (code === '55000' && routine === 'CheckMyDatabase' && named !== undefined)
    return runAs('a superuser', `alter database ${quoteIdentifier(named)} allow_connections true`)
  if (code === '42501' && routine === 'CheckMyDatabase' && named !== undefined && role !== undefined)
    return runAs(
      'the owner of the database',
      `grant connect on database ${quoteIdentifier(named)} to ${quoteIdentifier(role)}`,
    )
  if (code === '28P01' || code === '28000')
    return `correct user and password in ${subject}, or allow this role to log in from here in pg_hba.conf`
  if (found instanceof PublicError) return `correct ${subject} as the message says`
  if (code === '3D000') return `create the database, or name another one in ${subject}`
  if (/self.signed|certificate|unable to verify|altname|Hostname\/IP/i.test(message))
    return (
      `name the authority that signed the certificate as sslrootcert in ${subject}, ` +
      'and a host that is in the certificate'
    )
  if (/does not support SSL/i.test(message))
    return `set ssl = on in the server's settings, or remove sslmode from ${subject}`
  return cures[code] ?? `check ${subject}, and look at the server's log`
}
