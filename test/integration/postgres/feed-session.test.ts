/** The feed without a sidecar, as the tools for operators use it. */
import pg from 'pg'
import t from 'tap'
import { cacheDatabase, freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { startRecordedFeed } from '../../support/recorded-feed.js'

t.test('a round trip brings every change that was committed before it', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { told, changes, session } = await startRecordedFeed(t, { url })
  for (let count = 1; count <= 100; count++) {
    await query('insert into cache_entries (key, value) values ($1, $1)', [`key ${count}`])
    const tookMs = await session().roundTrip()
    t.ok(tookMs > 0)
    t.match(changes, { length: count })
  }
  t.strictSame(told, ['listening'])
})

t.test('a round trip fails as soon as changes are not announced', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { session } = await startRecordedFeed(t, { url })
  await query('alter table cache_entries disable trigger cache_entries_3_updated')
  await t.rejects(session().roundTrip(), { message: /cache_entries_3_updated is not enabled always/ })
})

t.test('a round trip fails if the session is over', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { session } = await startRecordedFeed(t, { url })
  const first = session()
  await query(
    `select pg_terminate_backend(pid, 10000) from pg_stat_activity
     where datname = current_database() and application_name = 'caching-layer changes'`,
  )
  await t.rejects(first.roundTrip())
})

t.test('a change that the handler cannot apply ends the session', async (t) => {
  const failure = new Error('a mistake of ours')
  for (const [name, fail] of [
    [
      'at once',
      () => {
        throw failure
      },
    ],
    ['later', () => Promise.reject(failure)],
  ] as const) {
    const { url, query } = await cacheDatabase(t)
    let count = 0
    const { told } = await startRecordedFeed(t, { url, changed: () => (++count === 1 ? fail() : undefined) })
    await query("insert into cache_entries (key, value) values ('k', '1')")
    await eventually(() => told.length === 3)
    t.match(told, ['listening', /a mistake of ours/, 'listening'], name)
  }
})

t.test('the handler is told the error that ended a session', async (t) => {
  const { url } = await freshDatabase(t)
  const listenUrl = Object.assign(new URL(url), { pathname: '/there_is_none' }).href
  const { told, causes } = await startRecordedFeed(t, { url, listenUrl })
  t.match(told[0], /does not exist/)
  t.ok(causes[0] instanceof pg.DatabaseError)
  t.match(causes[0], { code: '3D000' })
})
