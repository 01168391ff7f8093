import type pg from 'pg'
import type { Database } from '../postgres/database.js'
import { echo } from '../postgres/echo.js'
import { messageOf } from '../postgres/errors.js'
import { ListenSession } from '../postgres/listen-session.js'
import { within } from '../postgres/within.js'
import { bad, type Finding, ok } from './finding.js'

const timeoutMs = 3_000

/** Does a notification sent the one way come back the other, and how long does it take? */
export async function lookAtRoundTrip(database: Database, listenUrl: string): Promise<Finding> {
  const session = new ListenSession({
    url: listenUrl,
    connectTimeoutMs: timeoutMs,
    onNotification: () => undefined,
  })
  session.lost.catch(() => undefined)
  try {
    await within(timeoutMs, session.open(), 'the connection was not answered')
    await within(timeoutMs, session.listen('caching_layer_doctor'), 'LISTEN was not answered')
    const sentMs = performance.now()
    await echo(database, session, timeoutMs)
    return ok('LISTEN', `a notification takes ${(performance.now() - sentMs).toFixed(1)} ms there and back`)
  } catch (error) {
    const [says = '', cure = 'look at DATABASE_LISTEN_URL'] = messageOf(error).split(': ')
    return bad('LISTEN', says, cure)
  } finally {
    session.destroy()
  }
}

/**
 * A pooler gives its clients process ids of its own. In front of statements it is welcome; a listening session
 * needs a server process to itself.
 */
export async function lookForPooler(variable: string, client: pg.Client, mayBe: boolean): Promise<Finding> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  const isPooler = rows[0]?.pid !== (client as pg.Client & { readonly processID?: number }).processID
  if (!isPooler) return ok(`way of ${variable}`, 'direct')
  if (mayBe) return ok(`way of ${variable}`, 'through a pooler')
  return bad(
    `way of ${variable}`,
    'through a pooler',
    'DATABASE_LISTEN_URL must lead directly to the server: LISTEN needs a session of its own',
  )
}

/** A session that only listens is idle for the server. Ours ask not to be ended for that. */
export async function lookAtIdleTimeout(client: pg.Client): Promise<Finding> {
  const { rows } = await client.query<{ timeout: string }>(
    "select current_setting('idle_session_timeout') as timeout",
  )
  const timeout = rows[0]?.timeout ?? '0'
  if (timeout === '0') return ok('idle_session_timeout', 'listening sessions are not ended')
  return bad(
    'idle_session_timeout',
    `${timeout} for listening sessions, too`,
    'DATABASE_LISTEN_URL has options of its own, which take the place of ours: add "-c idle_session_timeout=0" to them',
  )
}
