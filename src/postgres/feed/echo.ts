import { randomBytes } from 'node:crypto'
import type { Database } from '../pool/database.js'
import { withTimeout } from '../pool/with-timeout.js'
import type { ListenSession } from './listen-session.js'

/** How an echo stands among the announcements: it names no change. */
export function isEcho(payload: string): boolean {
  return /^echo [0-9a-f]{16}$/.test(payload)
}

export const deaf =
  'connected, but notifications do not arrive: DATABASE_LISTEN_URL must lead directly to the same server as ' +
  'DATABASE_URL, not through a pooler in transaction mode'

/**
 * A notification sent through the pool makes the round trip: the session is not deaf, and the pool leads to the
 * same server. It goes where changes are announced, so that every other session hears it as well. Rejects with a
 * CacheError when the pool could not send it.
 */
export async function echo(
  database: Database,
  session: ListenSession,
  timeoutMs: number,
  onSent?: () => void,
): Promise<void> {
  const payload = `echo ${randomBytes(8).toString('hex')}`
  const heard = session.heard(payload)
  try {
    await database.read('select pg_catalog.pg_notify($1, $2)', [session.channel, payload])
    onSent?.()
    await withTimeout(timeoutMs, heard, deaf)
  } finally {
    session.forget(payload)
  }
}
