import type pg from 'pg'
import type { ChangeFeed, Log } from '../../core/ports.js'
import { PostgresChangeFeed } from '../../postgres/feed/feed.js'
import type { Database } from '../../postgres/pool/database.js'
import { messageOf } from '../../postgres/pool/errors.js'
import { databaseError, failure } from './failure.js'
import { bad, type Finding, ok, warning } from './finding.js'

/** Staleness bound of the feed, which waits for half of it for an answer. */
const maxStalenessMs = 6_000

/**
 * Checks that a feed receives a notification that is sent through the pool, and that its probes are answered.
 */
export async function lookAtRoundTrip(database: Database, listenUrl: string, log: Log): Promise<Finding> {
  const feed = new PostgresChangeFeed(
    { url: listenUrl, maxStalenessMs, whenIdle: 'listen' },
    { database, clock: { now: () => performance.now() }, log },
  )
  try {
    const roundTripMs = await firstRoundTrip(feed)
    return ok('LISTEN', `round trip of a notification: ${roundTripMs.toFixed(1)} ms`)
  } catch (error) {
    if (databaseError(error) !== undefined) return failure('LISTEN', 'DATABASE_LISTEN_URL', error)
    const [says = '', cure = 'check DATABASE_LISTEN_URL'] = messageOf(error).split(': ')
    return bad('LISTEN', says, cure)
  } finally {
    await feed.close()
  }
}

/** Starts the feed. Resolves to the time in ms of a round trip; rejects with the error if the feed cannot start. */
function firstRoundTrip(feed: ChangeFeed): Promise<number> {
  return new Promise((resolve, reject) => {
    feed.start({
      bound: () => undefined,
      listening: async (_asOfMs, session) => resolve(await session.roundTrip()),
      lost: (reason, _shownReason, cause) => reject(cause ?? new Error(reason)),
      changed: () => undefined,
      proven: () => undefined,
      rest: () => undefined,
    })
  })
}

/**
 * Checks whether there is a pooler on the way: a pooler gives its clients process ids of its own. That is fine for
 * statements (`mayBe`), but a listening session needs a server process to itself.
 */
export async function lookForPooler(variable: string, client: pg.Client, mayBe: boolean): Promise<Finding> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  const isPooler = rows[0]?.pid !== (client as pg.Client & { readonly processID?: number }).processID
  if (!isPooler) return ok(`route of ${variable}`, 'direct')
  if (mayBe) return ok(`route of ${variable}`, 'through a pooler')
  return bad(
    `route of ${variable}`,
    'through a pooler',
    'set DATABASE_LISTEN_URL to an address of the server itself: LISTEN needs a session of its own',
  )
}

/**
 * Checks the settings that the feed gives its session. `client` must have been opened in the same way as the feed's
 * session. Options in the URL replace those of the feed.
 */
export async function lookAtListenSettings(
  client: pg.Client,
  variable: string,
  { unreadTimeoutMs }: { readonly unreadTimeoutMs: number },
): Promise<readonly Finding[]> {
  const { rows } = await client.query<{ idle: string; unread: string; is_tcp: boolean }>(
    `select pg_catalog.current_setting('idle_session_timeout') as idle,
            pg_catalog.current_setting('tcp_user_timeout') as unread,
            pg_catalog.inet_client_addr() is not null as is_tcp`,
  )
  const { idle = '0', unread = '0', is_tcp: isTcp = false } = rows[0] ?? {}
  const findings = [
    idle === '0'
      ? ok('idle_session_timeout', 'listening sessions are not ended')
      : bad(
          'idle_session_timeout',
          `${idle}, and applies to listening sessions too`,
          `add "-c idle_session_timeout=0" to the options of ${variable}, which replace those of the sidecar`,
        ),
  ]
  // A Unix socket has no such timeout, and needs none: the client runs on the same machine.
  if (isTcp && unread === '0')
    findings.push(
      warning(
        'tcp_user_timeout',
        'not set: a sidecar that hangs or has vanished can keep the notification queue from being emptied, for hours',
        `add "-c tcp_user_timeout=${unreadTimeoutMs}" to the options of ${variable}, ` +
          'which replace those of the sidecar',
      ),
    )
  return findings
}
