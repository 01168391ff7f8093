import { randomBytes } from 'node:crypto'
import type { Database } from './database.js'
import type { ListenSession } from './listen-session.js'
import { within } from './within.js'

/**
 * A notification to ourselves, sent through the pool, makes the round trip: the session is not deaf, and the
 * pool leads to the same server. Rejects with a CacheError when the pool could not send it.
 */
export async function echo(database: Database, session: ListenSession, timeoutMs: number): Promise<void> {
  const payload = randomBytes(8).toString('hex')
  const heard = session.heard(payload)
  await database.read('select pg_notify($1, $2)', [session.echoChannel, payload])
  await within(
    timeoutMs,
    heard,
    'connected, but notifications do not arrive: DATABASE_LISTEN_URL must lead directly to the same server ' +
      'as DATABASE_URL, not through a pooler in transaction mode',
  )
}
