import { randomBytes } from 'node:crypto'
import type { Database } from '../pool/database.js'
import { withTimeout } from '../pool/with-timeout.js'
import type { ListenSession } from './listen-session.js'

/** Returns true if the payload is an echo, which names no change. */
export function isEcho(payload: string): boolean {
  return /^echo [0-9a-f]{16}$/.test(payload)
}

export const deaf =
  'connected, but notifications do not arrive: DATABASE_LISTEN_URL must lead directly to the same server as ' +
  'DATABASE_URL, not through a pooler in transaction mode'

/**
 * Sends a notification through the pool, and waits until the session receives it. That shows that the session receives
 * notifications, and that the pool leads to the same server. The echo uses the channel of the changes, so the sessions
 * of all other sidecars receive it too. Rejects with a CacheError if the pool cannot send it, and with a PublicError if
 * it does not arrive within `timeoutMs`. `onSent` is called once the server has accepted the echo.
 */
export async function echo(
  database: Database,
  session: ListenSession,
  timeoutMs: number,
  onSent?: () => void,
): Promise<void> {
  const payload = `echo ${randomBytes(8).toString('hex')}`
  const received = session.received(payload)
  try {
    await database.read('select pg_catalog.pg_notify($1, $2)', [session.channel, payload])
    onSent?.()
    await withTimeout(timeoutMs, received, deaf)
  } finally {
    session.forget(payload)
  }
}
