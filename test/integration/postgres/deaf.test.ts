import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t from 'tap'
import { isEcho } from '../../../src/postgres/feed/echo.js'
import { Announcements } from '../../support/announcements.js'
import { cacheDatabase, ownServer } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { proxyTo } from '../../support/half-open-proxy.js'
import { injectingProxyTo } from '../../support/injecting-proxy.js'
import { startRecordedFeed } from '../../support/recorded-feed.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const boundMs = 1_000

for (const statement of ['discard all', 'unlisten *', 'unlisten CHANNEL']) {
  t.test(`${statement} on the listening session: no hit is older than L`, async (t) => {
    const database = await cacheDatabase(t)
    const proxy = await injectingProxyTo(t, database.url)
    const { client, log } = await startLiveSidecar(t, {
      databaseUrl: database.url,
      databaseListenUrl: proxy.url,
      maxStalenessMs: boundMs,
    })
    const { channel } = await Announcements.of(t, database)
    for (const key of ['a', 'b']) await client.set(key, 'before')
    for (const key of ['a', 'b']) await client.held(key)

    await proxy.inject(statement.replace('CHANNEL', channel))
    await database.query("update cache_entries set value = 'after' where key = 'a'")
    const changedMs = performance.now()
    let freshUntilMs = changedMs
    await eventually(async () => {
      const askedMs = performance.now()
      const { body } = await client.get('a')
      if (body.value === 'before' && body.stale === undefined) freshUntilMs = askedMs
      return body.value === 'after'
    })
    const ageMs = freshUntilMs - changedMs
    t.ok(ageMs <= boundMs, 'nothing fresh is older than the bound', { ageMs })
    t.ok(ageMs > 0, 'though the change was not heard')
    await eventually(async () => (await client.stats()).feed.losses > 0)
    t.ok(
      log.some((line) => line.includes('notifications do not arrive')),
      'it says why',
    )
    await eventually(async () => (await client.stats()).feed.state === 'live')
    t.match((await client.get('b')).body, { value: 'before', source: 'cache' }, 'what did not change is kept')
    await database.query("update cache_entries set value = 'again'")
    await eventually(async () => (await client.value('a')) === 'again')
  })
}

t.test('a deaf sidecar is not deceived by what others hear', async (t) => {
  const database = await cacheDatabase(t)
  const proxy = await injectingProxyTo(t, database.url)
  const options = { databaseUrl: database.url, maxStalenessMs: boundMs }
  const others = await Promise.all([1, 2].map(() => startLiveSidecar(t, options)))
  const { client } = await startLiveSidecar(t, { ...options, databaseListenUrl: proxy.url })
  await proxy.inject('discard all')
  await eventually(async () => (await client.stats()).feed.losses > 0)
  await eventually(async () => (await client.stats()).feed.state === 'live')
  for (const other of others) t.equal((await other.client.stats()).feed.losses, 0)
})

t.test('sidecars of a fleet share their echoes', async (t) => {
  const database = await cacheDatabase(t)
  const sidecars = await Promise.all(
    Array.from({ length: 10 }, () => startLiveSidecar(t, { databaseUrl: database.url })),
  )
  const announced = await Announcements.of(t, database)
  await announced.payloads()
  const sinceMs = performance.now()
  await sleep(4_000)
  const echoes = (await announced.payloads()).filter(isEcho)
  const seconds = (performance.now() - sinceMs) / 1_000
  t.comment(`${echoes.length} echoes in ${seconds.toFixed(1)} s`)
  t.ok(echoes.length >= 2, 'enough for every lease')
  t.ok(echoes.length < sidecars.length * seconds, 'not one for every sidecar and second')
  for (const { client } of sidecars) {
    await eventually(async () => {
      const { feed } = await client.stats()
      return feed.state === 'live' && (feed.lease_age_ms ?? Number.POSITIVE_INFINITY) < 3_000
    })
  }
})

t.test('a pool that does not answer does not cost the lease', async (t) => {
  const database = await cacheDatabase(t)
  const proxy = await proxyTo(t, database.url)
  const { client } = await startLiveSidecar(t, {
    databaseUrl: proxy.url,
    databaseListenUrl: database.url,
    maxStalenessMs: boundMs,
  })
  await client.set('a', 'before')
  await client.held('a')
  proxy.freeze()
  const untilMs = performance.now() + 3 * boundMs
  await eventually(
    async () => {
      t.strictSame((await client.get('a')).body, { key: 'a', value: 'before', source: 'cache' })
      return performance.now() > untilMs
    },
    { everyMs: 50 },
  )
  t.match((await client.stats()).feed, { state: 'live', losses: 0 })
  proxy.thaw()
})

t.test('a pool that moves to another server is noticed, even while other sidecars are heard', async (t) => {
  const database = await cacheDatabase(t)
  const { channel } = await Announcements.of(t, database)
  const echo = () =>
    database.query("select pg_notify($1, 'echo 0123456789abcdef')", [channel]).catch(() => {})
  const others = setInterval(echo, 20)
  t.teardown(() => clearInterval(others))
  const proxy = await proxyTo(t, database.url)
  const { told, pass } = await startRecordedFeed(t, { url: proxy.url, listenUrl: database.url })
  t.strictSame(told, ['listening'])
  const other = await ownServer(t)
  const admin = new pg.Client({ connectionString: other.url() })
  await admin.connect()
  await admin.query(`create database ${database.name}`)
  await admin.end()
  proxy.leadTo(other.url())
  proxy.cut()
  pass(15_000)
  await eventually(() => told.length > 1)
  t.match(told[1], /notifications do not arrive.*the same server as DATABASE_URL/)
})
