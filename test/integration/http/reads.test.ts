/** Tests of the HTTP headers of reads: requests and responses. */
import pg from 'pg'
import t, { type Test } from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { proxyTo } from '../../support/half-open-proxy.js'
import type { Answer, JsonClient } from '../../support/json-client.js'
import { startLiveSidecar } from '../../support/sidecar.js'

function read(client: JsonClient, key: string, headers: Record<string, string> = {}): Promise<Answer> {
  return client.request('GET', `/cache/get?key=${encodeURIComponent(key)}`, { headers })
}

function tokenOf(t: Test, { headers, body }: Answer): string {
  t.match(body.token, /^[\w.-]{12,}$/)
  t.equal(headers['cache-token'], body.token, 'the header says the same')
  return String(body.token)
}

t.test('responses have Cache-Status and Age', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, ttlSeconds: 100 })
  await query("insert into cache_entries (key, value) values ('k', 'v')")
  const first = await read(client, 'k')
  t.match(first.headers, { 'cache-status': 'caching-layer; fwd=miss; stored', age: '0' })
  const hit = await read(client, 'k')
  t.match(hit.headers['cache-status'], /^caching-layer; hit; ttl=(89|9\d)$/, 'up to a tenth less, by chance')
  await eventually(async () => Number((await read(client, 'k')).headers.age) >= 1)
  t.equal((await read(client, 'absent')).headers['cache-status'], 'caching-layer; fwd=miss; stored')
  t.match((await read(client, 'k', { 'Cache-Control': 'no-cache' })).headers, {
    'cache-status': 'caching-layer; fwd=request; fwd-status=304; stored',
    age: '0',
  })
})

t.test('after its time to live an entry is confirmed by its version', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, {
    databaseUrl: url,
    ttlSeconds: 100,
    ttlRules: [{ prefix: 'short:', seconds: 0.05 }],
  })
  await client.set('short:k', 'v')
  await client.set('k', 'v')
  const answered = (status: string) =>
    eventually(async () => {
      const { headers, body } = await read(client, 'short:k')
      return headers['cache-status'] === status && body
    })
  t.match(await answered('caching-layer; fwd=stale; fwd-status=304; stored'), { value: 'v', source: 'db' })
  t.match(await answered('caching-layer; hit; ttl=0'), { value: 'v', source: 'cache' }, 'and holds again')
  const { misses_by_reason: misses, revalidated_fills: revalidated } = (
    await client.request('GET', '/cache/stats')
  ).body as { misses_by_reason: { expired: number }; revalidated_fills: number }
  t.ok(revalidated >= 1 && revalidated <= misses.expired)
  await query("update cache_entries set value = 'w'")
  await eventually(async () => (await read(client, 'short:k')).body.value === 'w')
})

t.test('without a local time to live, Cache-Status has no ttl', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, ttlSeconds: 0 })
  await client.set('k', 'v')
  t.equal((await read(client, 'k')).headers['cache-status'], 'caching-layer; hit')
})

t.test('the ttl of an entry that expires in the database comes from there', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, ttlSeconds: 100 })
  await query("insert into cache_entries (key, value, expires_at) values ('k', 'v', now() + interval '10 s')")
  await client.held('k')
  const { headers } = await read(client, 'k')
  t.match(headers['cache-status'], /^caching-layer; hit; ttl=[5-9]$/)
})

t.test('strong reads are requested by query or header', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const proxy = await proxyTo(t, url)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, databaseListenUrl: proxy.url })
  await client.set('k', 'before')
  // Its changes do not arrive; what is held is still within the lease.
  proxy.freeze()
  await query("update cache_entries set value = 'after'")
  t.match((await read(client, 'k')).body, { value: 'before', source: 'cache' }, 'a default read')
  for (const headers of [
    { 'Cache-Control': 'no-cache' },
    { 'Cache-Control': 'max-age=0, No-Cache' },
    { 'Cache-Control': 'no-store , no-cache' },
  ]) {
    t.match((await read(client, 'k', headers)).body, { value: 'after', source: 'db' })
  }
  const strong = await client.request('GET', '/cache/get?consistency=strong&key=k')
  t.match(strong.body, { value: 'after', source: 'db' })
  t.equal((await client.request('GET', '/cache/get?consistency=bounded&key=k')).status, 200)
  for (const level of ['', 'Strong', 'eventual', 'strong,bounded']) {
    const { status, body } = await client.request('GET', `/cache/get?key=k&consistency=${level}`)
    t.match({ status, body }, { status: 422, body: { detail: /^consistency: / } }, level)
  }
})

t.test('500 concurrent strong reads need a handful of statements', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client, sidecar } = await startLiveSidecar(t, { databaseUrl: url, databaseTimeoutMs: 60_000 })
  await query("insert into cache_entries (key, value) select 'k' || n, 'v' from generate_series(1, 500) as n")
  const { misses } = await client.stats()
  // No statement ends before the last read has arrived.
  const holder = new pg.Client(url)
  await holder.connect()
  await holder.query('begin; lock cache_entries in access exclusive mode')
  const reads = Array.from({ length: 500 }, (_, index) =>
    client.request('GET', `/cache/get?key=k${1 + index}&consistency=strong`),
  )
  await eventually(async () => (await client.stats()).misses - misses === 500)
  await holder.query('commit')
  for (const { status, body } of await Promise.all(reads)) {
    t.match({ status, body }, { status: 200, body: { value: 'v', source: 'db' } })
  }
  // A session's counts are complete when it has ended.
  await holder.end()
  await sidecar.close()
  const ended = await eventually(async () => {
    const { rows } = await query<{ transactions: number; others: number }>(
      `select xact_commit::int as transactions, (select count(*) from pg_stat_activity
                where datname = current_database() and application_name <> 'test')::int as others
       from pg_stat_database where datname = current_database()`,
    )
    return rows.find(({ others }) => others === 0)
  })
  const transactions = ended?.transactions ?? 0
  t.ok(transactions > 0 && transactions < 100, `${transactions} transactions from start to end`)
})

t.test('only-if-cached is answered from memory only', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  await query("insert into cache_entries (key, value) values ('k', 'v')")
  const headers = { 'Cache-Control': 'only-if-cached' }
  const { misses } = await client.stats()
  const absent = await read(client, 'k', headers)
  t.match(absent, { status: 504, body: { status: 504, detail: /only-if-cached/ } })
  t.match(absent.headers['content-type'], /^application\/problem\+json/)
  t.equal((await client.stats()).misses, misses, 'the database was not asked')
  await client.held('k')
  t.match(await read(client, 'k', headers), { status: 200, body: { value: 'v', source: 'cache' } })
  const both = { 'Cache-Control': 'no-cache, only-if-cached' }
  t.equal((await read(client, 'k', both)).status, 504, 'nothing in memory is as new as that')
})

t.test('tokens', async (t) => {
  const { url } = await cacheDatabase(t)
  const proxy = await proxyTo(t, url)
  const a = (await startLiveSidecar(t, { databaseUrl: url })).client
  const b = (await startLiveSidecar(t, { databaseUrl: url, databaseListenUrl: proxy.url })).client
  await a.set('k', 'old')
  await eventually(async () => (await b.value('k')) === 'old')
  await b.held('k')
  proxy.freeze()
  const token = tokenOf(t, await a.set('k', 'new'))
  t.match((await read(b, 'k')).body, { value: 'old', source: 'cache' }, 'without it')
  t.match((await read(b, 'k', { 'Cache-Token': token })).body, { value: 'new', source: 'db' })
  const newer = tokenOf(t, await a.set('k', 'newer'))
  t.match((await read(b, 'k', { 'Cache-Token': token })).body, { value: 'new' }, 'the token asks for no more')
  const inQuery = await b.request('GET', `/cache/get?key=k&token=${newer}`)
  t.match(inQuery.body, { value: 'newer', source: 'db' })
  t.match(
    (await read(a, 'k', { 'Cache-Token': newer })).body,
    { value: 'newer', source: 'cache' },
    'where it was made',
  )

  const deleted = tokenOf(t, await a.delete('k'))
  t.equal((await read(b, 'k', { 'Cache-Token': deleted })).status, 404)
  const nothing = tokenOf(t, await a.delete('never there'))
  t.equal((await read(b, 'never there', { 'Cache-Token': nothing })).status, 404)
  t.match(
    (await read(a, 'k', { 'Cache-Token': nothing })).status,
    404,
    'of another key: it says nothing here',
  )
})

t.test('an invalid token is refused', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  const token = String((await client.set('k', 'v')).body.token)
  const [hash, version, epoch] = token.split('.')
  for (const wrong of [
    'nonsense',
    `${token}x`,
    `${token}.1`,
    `x${token}`,
    ` ${token} ${token}`,
    `${hash}.${version}`,
    `${hash}.x.${epoch}`,
    `${hash}..${epoch}`,
    `${hash}.99999999999999999999.${epoch}`,
    '.'.repeat(10_000),
  ]) {
    const asHeader = await read(client, 'k', { 'Cache-Token': wrong })
    const asQuery = await client.request('GET', `/cache/get?key=k&token=${encodeURIComponent(wrong)}`)
    for (const { status, body } of [asHeader, asQuery])
      t.match({ status, body }, { status: 422, body: { detail: /^token: / } }, wrong.slice(0, 60))
  }
  const two = await client.request('GET', `/cache/get?key=k&token=${token}&token=${token}`)
  t.equal(two.status, 422)
})

t.test('a response without proof is marked', async (t) => {
  const { url } = await cacheDatabase(t)
  const proxy = await proxyTo(t, url)
  const { client } = await startLiveSidecar(t, { databaseUrl: proxy.url, maxStalenessMs: 300 })
  await client.set('k', 'v')
  proxy.refusing = true
  proxy.cut()
  await eventually(async () => (await read(client, 'k')).body.stale === true)
  t.match((await read(client, 'k')).headers['cache-status'], /^caching-layer; hit; ttl=\d+; detail=unproven$/)
  t.match((await client.set('k', 'kept')).body, { ok: true, db_written: false })
  const kept = await read(client, 'k')
  t.match(kept, { body: { value: 'kept', stale: true }, headers: { 'cache-status': /hit; detail=kept$/ } })
})
