import pg from 'pg'
import t from 'tap'
import { serve, untilLive } from '../../support/child-process.js'
import { ownServer } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'

/** Reason to skip the test: only on Linux does a server notice that its client does not read. */
const skip = process.platform === 'linux' ? false : 'tcp_user_timeout: Linux only'

t.test('a frozen sidecar does not block the notification queue for long', { skip }, async (t) => {
  const server = await ownServer(t)
  const sidecar = await serve(t, { DATABASE_URL: server.url(), CACHE_MAX_STALENESS_MS: '500' })
  await untilLive(sidecar)
  await sidecar.client.set('a', 'before')
  await sidecar.client.held('a')

  const other = new pg.Client({ connectionString: server.url() })
  await other.connect()
  t.teardown(() => other.end())
  const look = async () => {
    const { rows } = await other.query<{ listeners: number; usage: number }>(
      `select pg_notification_queue_usage() as usage, count(*)::int as listeners
       from pg_stat_activity where application_name = 'caching-layer changes'`,
    )
    return rows[0] as { listeners: number; usage: number }
  }
  const announce = () =>
    other.query(
      `select pg_notify(cache_channel('public', 'cache_entries'), '["' || repeat('x', 7000) || n || '","1"]')
       from generate_series(1, 100) n`,
    )

  sidecar.kill('SIGSTOP')
  // Unread notifications fill the buffers of the connection first, and then the queue of the whole server.
  await eventually(
    async () => {
      await announce()
      return (await look()).usage > 0.0005
    },
    { everyMs: 0 },
  )
  t.equal((await look()).listeners, 1)

  await eventually(async () => (await look()).listeners === 0)
  await announce()
  t.equal((await look()).usage, 0)

  await other.query("update cache_entries set value = 'after'")
  sidecar.kill('SIGCONT')
  await eventually(async () => (await sidecar.client.held('a')) === 'after')
})
