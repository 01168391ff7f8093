import type pg from 'pg'
import { openClient } from '../../postgres/pool/connection.js'
import { refusesSettings } from '../../postgres/pool/errors.js'
import { failure } from './failure.js'
import type { Finding } from './finding.js'

const timeoutMs = 5_000
const lockTimeoutMs = 2_000

/** Result of connecting: a session, or a finding with the reason why there is none. */
export type Reached = { readonly client: pg.Client } | { readonly finding: Finding }

/**
 * Connects as the pool of a sidecar does. Sets its own timeouts for statements and locks, so that those of the role do
 * not end a check. `variable` is the setting with the URL. The caller must end the client.
 */
export async function reach(variable: string, url: string): Promise<Reached> {
  try {
    return {
      client: await connect(url, {
        statement_timeout: timeoutMs,
        lock_timeout: lockTimeoutMs,
      }),
    }
  } catch (error) {
    if (!refusesSettings(error)) return { finding: failure(variable, variable, error, roleOf(url)) }
  }
  // A pooler refuses the timeouts.
  try {
    return { client: await connect(url) }
  } catch (error) {
    return { finding: failure(variable, variable, error, roleOf(url)) }
  }
}

/** Opens a session of the doctor. The caller must end it. */
export function connect(url: string, config: pg.ClientConfig = {}): Promise<pg.Client> {
  return openClient(url, {
    application_name: 'caching-layer doctor',
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    ...config,
  })
}

function roleOf(url: string): string {
  return decodeURIComponent(new URL(url).username)
}
