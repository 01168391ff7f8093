import type pg from 'pg'
import { newClient } from '../postgres/connection.js'
import { messageOf } from '../postgres/errors.js'
import { bad, type Finding } from './finding.js'

const timeoutMs = 5_000

/** A session, and what there is to say when it cannot be had. */
export type Reached = { readonly client: pg.Client } | { readonly finding: Finding }

/** `variable` is the setting that the URL came from. Whoever gets a client ends it. */
export async function reach(variable: string, url: string): Promise<Reached> {
  const client = newClient(url, {
    application_name: 'caching-layer doctor',
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return { client }
  } catch (error) {
    await client.end().catch(() => undefined)
    return { finding: bad(variable, messageOf(error), cureOf(variable, error)) }
  }
}

function cureOf(variable: string, error: unknown): string {
  const { code = '' } = error as { code?: string }
  const message = messageOf(error)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `no such host: look at ${variable}`
  if (code === 'ECONNREFUSED' || /ECONNREFUSED/.test(message))
    return `nobody listens there: is PostgreSQL running, and are host and port of ${variable} right?`
  if (code === '28P01' || code === '28000')
    return `user or password of ${variable}, or pg_hba.conf, which has to let this role in from here`
  if (code === '3D000') return `create the database, or name another one in ${variable}`
  if (code === '53300')
    return 'raise max_connections, or the connection limit of the role or the database, or end what is idle'
  if (/self.signed|certificate|unable to verify|altname|Hostname\/IP/i.test(message))
    return `the certificate: sslrootcert of ${variable} must name the authority that signed it, and the host must be in it`
  if (/does not support SSL/i.test(message))
    return `ssl = on in the server's settings, or no sslmode in ${variable}`
  return `look at ${variable}, and at the server's log`
}
