import t, { type Test } from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { Announcements } from '../../support/announcements.js'
import { cacheDatabase, type FreshDatabase, freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { FaultProxy } from '../../support/fault-proxy.js'
import { proxyTo } from '../../support/half-open-proxy.js'
import type { JsonClient, Stats } from '../../support/json-client.js'
import { startLiveSidecar, startSidecar } from '../../support/sidecar.js'

async function terminateListener({ query }: FreshDatabase): Promise<void> {
  const { rows } = await query(
    `select pg_terminate_backend(pid, 10000) from pg_stat_activity
     where datname = current_database() and application_name = 'caching-layer changes'`,
  )
  if (rows.length === 0) throw new Error('nobody listens')
}

/** Resolves when the feed is live again and has been lost more often than `losses`. */
function liveAfter(client: JsonClient, losses: number): Promise<Stats | false> {
  return eventually(async () => {
    const stats = await client.stats()
    return stats.feed.losses > losses && stats.feed.state === 'live' && stats
  })
}

/** Checks that the feed reports changes that are made by SQL. */
async function follows(t: Test, { query }: FreshDatabase, client: JsonClient): Promise<void> {
  const value = `at ${performance.now()}`
  await query(
    `insert into cache_entries (key, value) values ('followed', $1)
     on conflict (key) do update set value = excluded.value`,
    [value],
  )
  await eventually(async () => (await client.value('followed')) === value)
  t.equal(await client.held('followed'), value, 'changes are followed')
}

t.test('a terminated listener reconnects, and the entries survive', async (t) => {
  const database = await freshDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: database.url })
  const keys = Array.from({ length: 100 }, (_, number) => `key ${number}`)
  for (const key of [...keys, 'missed', 'missed too']) await client.set(key, 'before')
  await client.held('missed')
  for (let losses = 0; losses < 3; losses++) {
    await terminateListener(database)
    await liveAfter(client, losses)
  }
  const before = await client.stats()
  for (const key of keys) {
    t.strictSame((await client.get(key)).body, { key, value: 'before', source: 'cache' })
  }
  t.equal((await client.stats()).hits, before.hits + keys.length)
  t.match(before.feed, { flushes: 0, revalidation_drops: 0 })
  await follows(t, database, client)
})

t.test('a change while the listener is disconnected is not missed', async (t) => {
  const database = await freshDatabase(t)
  const proxy = await proxyTo(t, database.url)
  const { client } = await startLiveSidecar(t, { databaseUrl: database.url, databaseListenUrl: proxy.url })
  for (const key of ['kept', 'updated', 'deleted']) await client.set(key, 'before')
  await client.held('kept')
  proxy.refusing = true
  proxy.cut()
  await eventually(async () => (await client.stats()).feed.state === 'down')
  await database.query("update cache_entries set value = 'after' where key = 'updated'")
  await database.query("delete from cache_entries where key = 'deleted'")
  proxy.refusing = false
  await liveAfter(client, 0)
  t.match((await client.get('kept')).body, { value: 'before', source: 'cache' })
  t.match((await client.get('updated')).body, { value: 'after' })
  t.equal((await client.get('deleted')).status, 404)
  t.equal((await client.stats()).feed.revalidation_drops, 2)
})

t.test('with the feed down, reads go to the database and nothing is cached', async (t) => {
  const database = await freshDatabase(t)
  const proxy = await proxyTo(t, database.url)
  const options = { databaseUrl: database.url, databaseListenUrl: proxy.url, maxStalenessMs: 300 }
  const bypass = (await startLiveSidecar(t, options)).client
  const stale = (await startLiveSidecar(t, { ...options, onFeedLoss: 'stale' })).client
  for (const client of [bypass, stale]) {
    await client.set('a', 'before')
    await client.held('a')
  }
  proxy.refusing = true
  proxy.cut('reset')
  await eventually(async () => (await bypass.get('a')).body.source === 'db')
  await database.query("update cache_entries set value = 'after'")
  t.strictSame((await bypass.get('a')).body, { key: 'a', value: 'after', source: 'db' })
  t.strictSame((await bypass.get('a')).body, { key: 'a', value: 'after', source: 'db' }, 'still from there')
  t.match((await bypass.set('a', 'set')).body, { ok: true, db_written: true })
  t.strictSame((await bypass.get('a')).body, { key: 'a', value: 'set', source: 'db' })
  await eventually(async () => (await stale.get('a')).body.stale === true)
})

t.test('a half-open link is noticed, and staleness stays within its bound', async (t) => {
  const database = await freshDatabase(t)
  const proxy = await proxyTo(t, database.url)
  const { client } = await startLiveSidecar(t, {
    databaseUrl: database.url,
    databaseListenUrl: proxy.url,
    maxStalenessMs: 500,
  })
  await client.set('a', 'before')
  await client.held('a')
  proxy.freeze()
  const frozenMs = performance.now()
  await database.query("update cache_entries set value = 'after'")
  const changedMs = performance.now()
  let freshUntilMs = frozenMs
  await eventually(async () => {
    const askedMs = performance.now()
    const { body } = await client.get('a')
    if (body.value === 'before' && body.stale === undefined) freshUntilMs = askedMs
    return body.value === 'after'
  })
  t.ok(freshUntilMs - changedMs <= 500, 'nothing fresh is older than the bound')
  await eventually(async () => (await client.stats()).feed.losses > 0)
  proxy.thaw()
  await liveAfter(client, 0)
  await follows(t, database, client)
})

t.test('garbage on the channel casts doubt on everything, and the answers stay right', async (t) => {
  const database = await freshDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: database.url })
  const announced = await Announcements.of(t, database)
  for (const key of ['a', 'b']) await client.set(key, 'before')
  await client.held('a')
  const garbage = ['garbage', '', '{}', '["a"]', '["a",1]', '[null,null]', '\u0001', '*', '['.repeat(7_999)]
  for (const [count, payload] of garbage.entries()) {
    const { feed } = await client.stats()
    await database.query('select pg_notify($1, $2)', [announced.channel, payload])
    await eventually(async () => (await client.stats()).feed.revalidations > feed.revalidations)
    t.equal(await client.value('a'), 'before')
    await database.query("update cache_entries set value = $1 where key = 'b'", [`after ${count}`])
    await eventually(async () => (await client.value('b')) === `after ${count}`)
  }
  // Well formed, and about nothing that is held or of a version that never was.
  await database.query('select pg_notify($1, $2)', [
    announced.channel,
    '["a","9223372036854775807","\\u0000","0"]',
  ])
  await eventually(async () => (await client.value('a')) === 'before')
  t.match((await client.stats()).feed, { losses: 0, flushes: 0 })
  await follows(t, database, client)
})

t.test('a link may be cut at any moment of the start', async (t) => {
  const database = await cacheDatabase(t)
  const proxy = await proxyTo(t, database.url)
  const { client } = await startSidecar(t, { databaseUrl: database.url, databaseListenUrl: proxy.url })
  for (let round = 0; round < 6; round++) {
    await eventually(() => proxy.connections > 0, { everyMs: 1 })
    for (let turn = 0; turn < round * 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    proxy.cut(round % 2 === 0 ? 'end' : 'reset')
  }
  await eventually(async () => (await client.stats()).feed.state === 'live')
  await follows(t, database, client)
})

t.test('a link may be cut at any byte of a later session', async (t) => {
  const database = await freshDatabase(t)
  const proxy = new FaultProxy(Number(new URL(database.url).port))
  const host = `127.0.0.1:${await proxy.listen()}`
  t.teardown(() => proxy.close())
  const databaseListenUrl = Object.assign(new URL(database.url), { host }).href
  const { client } = await startLiveSidecar(t, { databaseUrl: database.url, databaseListenUrl })
  // Number of bytes from the connection to the first probe.
  const before = { ...proxy.counts }
  proxy.reset()
  await liveAfter(client, 0)
  await client.set('a', 'before')
  await client.held('a')
  const ways = [
    ['toServer', proxy.counts.bytesToServer - before.bytesToServer],
    ['toClient', proxy.counts.bytesToClient - before.bytesToClient],
  ] as const
  for (const [way, length] of ways) {
    t.ok(length > 100, `${length} bytes ${way}`)
    const missed: string[] = []
    for (let bytes = 1; bytes <= length; bytes += Math.ceil(length / 8)) {
      const { losses } = (await client.stats()).feed
      const { reset } = proxy.counts
      proxy.set({ [way]: { kind: 'cut', bytes } })
      proxy.reset()
      // Bytes of the live session, and of one that was cut as it began.
      await eventually(() => proxy.counts.reset >= reset + 2)
      const value = `${way} ${bytes}`
      await database.query('update cache_entries set value = $1', [value])
      proxy.heal()
      await liveAfter(client, losses)
      if ((await client.value('a')) !== value) missed.push(value)
      await client.held('a')
    }
    t.strictSame(missed, [], 'what changed meanwhile is compared')
  }
  await follows(t, database, client)
})

t.test('a connection that is accepted but never answered counts as failed', async (t) => {
  const database = await freshDatabase(t)
  const proxy = await proxyTo(t, database.url)
  const options = { databaseUrl: database.url, databaseListenUrl: proxy.url, maxStalenessMs: 600 }
  const live = (await startLiveSidecar(t, options)).client
  await live.set('a', 'before')
  await live.held('a')
  proxy.freeze()
  proxy.cut()
  await eventually(() => proxy.connections > 0, { everyMs: 1 })
  const started = (await startSidecar(t, options)).client
  await database.query("update cache_entries set value = 'after'")
  for (const client of [live, started]) {
    await eventually(async () => (await client.get('a')).body.source === 'db')
    t.equal(await client.value('a'), 'after', 'reads go to the database')
    await eventually(async () => {
      const { feed, reason } = (await client.request('GET', '/health')).body
      return feed === 'down' && /timeout|not answered/.test(String(reason))
    })
  }
  proxy.thaw()
  for (const client of [live, started]) {
    await eventually(async () => (await client.stats()).feed.state === 'live')
    await follows(t, database, client)
  }
})

t.test('the table may be created after the start', async (t) => {
  const database = await freshDatabase(t)
  const { client, log } = await startSidecar(t, { databaseUrl: database.url, migrate: false })
  t.equal((await client.get('a')).status, 503)
  t.ok(
    log.some((line) => line.includes('run \\"caching-layer migrate\\"')),
    'it says what to do',
  )
  await migrate(database.url)
  await eventually(async () => (await client.stats()).feed.state === 'live')
  await follows(t, database, client)
})
