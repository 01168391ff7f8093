import t from 'tap'
import { cacheDatabase, type Owner } from '../../support/database.js'
import { EventStream } from '../../support/event-stream.js'
import { eventually } from '../../support/eventually.js'
import { startLiveSidecar } from '../../support/sidecar.js'

async function setup(t: Owner, options = {}) {
  const database = await cacheDatabase(t)
  const { client, log } = await startLiveSidecar(t, { databaseUrl: database.url, ...options })
  const stream = await EventStream.open(t, `${client.base}/v1/changes`)
  const name = (await stream.next('open'))?.data.stream
  const ask = (question: string, stream: unknown = name) =>
    client.request('POST', '/v1/changes:prove', { body: { stream, question } })
  return { ...database, client, log, stream, ask }
}

t.test(
  'a question is answered on the stream, after the changes before it, and again at intervals',
  async (t) => {
    const { client, stream, ask } = await setup(t)
    await client.set('a', 1)
    await eventually(async () => (await client.stats()).changes_applied === 1)
    t.match(await ask('one'), { status: 204 })
    t.match(await stream.next(), { name: 'change', data: { key: 'a' } })
    const first = await stream.next()
    t.match(first, { name: 'proof', data: { question: 'one', elapsed_ms: Number, age_ms: Number } })
    t.ok(Number.isInteger(first?.data.outbox_age_ms))

    const again = await stream.next('proof')
    t.ok(
      Number(again?.data.elapsed_ms) > Number(first?.data.elapsed_ms),
      'the time since the question passes',
    )
    t.ok(Number(again?.data.age_ms) < 3_000, 'the age of the lease does not')
    await ask('two')
    t.match(await stream.next('proof'), { data: { question: 'two' } })
  },
)

t.test('only questions about an open stream are taken', async (t) => {
  const { client, ask } = await setup(t)
  t.match(await ask('one', 'other.1'), { status: 404, body: { detail: 'stream: not open at this sidecar' } })
  for (const body of [{}, { stream: 'a' }, { stream: 'a', question: '' }, { stream: 'a', question: 'a b' }])
    t.match(await client.request('POST', '/v1/changes:prove', { body }), { status: 422 })
})

t.test('while a client follows, the feed does not rest', async (t) => {
  // Between two proofs, there are several moments at which it could.
  const { stream, ask, log } = await setup(t, { idleAfterMs: 1 })
  const before = log.length
  const isIdle = () => log.slice(before).some((line) => line.includes('change feed idle'))
  await ask('one')
  let proof = await stream.next('proof')
  while (Number(proof?.data.elapsed_ms) < 2_000) proof = await stream.next('proof')
  t.notOk(isIdle())
  stream.close()
  await eventually(isIdle)
})

t.test('while the database is away, the age grows', async (t) => {
  const { client, stream, ask, drop } = await setup(t)
  await drop()
  await eventually(async () => (await client.stats()).feed.state === 'down')
  await ask('one')
  const [first, second] = [await stream.next('proof'), await stream.next('proof')]
  const grown = (name: string) => Number(second?.data[name]) - Number(first?.data[name])
  t.ok(grown('elapsed_ms') > 0)
  // Each is rounded.
  t.ok(Math.abs(grown('age_ms') - grown('elapsed_ms')) <= 2)
})

t.test('a response names the feed by which it can be kept', async (t) => {
  const { client, stream, query } = await setup(t)
  const other = await EventStream.open(t, `${client.base}/v1/changes`)
  const feed = (await other.next('open'))?.data.feed
  const read = (path: string, sending = {}) =>
    client.request('GET', path, { headers: { 'Change-Feed': '?1' }, ...sending })
  await client.set('a', 1)
  t.match(await read('/v1/entries/a'), { status: 200, headers: { 'change-feed': feed } }, 'a hit')
  t.match(
    await client.request('GET', '/v1/entries/a'),
    { headers: { 'change-feed': undefined } },
    'only on demand',
  )
  const refusing = { headers: { 'Change-Feed': '?0' } }
  t.notOk((await client.request('GET', '/v1/entries/a', refusing)).headers['change-feed'])
  t.match(await read('/v1/entries/b'), { status: 404, headers: { 'change-feed': feed } }, 'no entry')
  await query(`insert into cache_entries (key, value) values ('c', '1')`)
  t.match(await read('/v1/entries/c'), { status: 200, headers: { 'change-feed': feed } }, 'a fill')
  const bulk = (keys: string[]) =>
    client.request('POST', '/v1/entries:get', { body: { keys }, headers: { 'Change-Feed': '?1' } })
  t.match(await bulk(['a', 'b']), { status: 200, headers: { 'change-feed': feed } })

  await query(`create table item (id int primary key); insert into item values (1);
               select cache_bind('item', key => 'item:{id}')`)
  const next = (await stream.next('gap'))?.data.feed
  t.match(await read('/v1/entries/item:1'), { status: 200, headers: { 'change-feed': `${next}; outbox` } })
  t.match(await bulk(['a', 'item:1']), { headers: { 'change-feed': `${next}; outbox` } })
})

t.test('a read waits until the entry is another', async (t) => {
  const { client, query } = await setup(t)
  const put = await client.request('PUT', '/v1/entries/a', { raw: '1' })
  const etag = String(put.headers.etag)
  const read = (tag: string, wait = 60, path = '/v1/entries/a', method = 'GET') =>
    client.request(method, path, { headers: { 'If-None-Match': tag, Prefer: `wait=${wait}` } })
  const waiting = () => eventually(async () => (await client.stats()).fill_leases.waiting === 1)

  t.match(await read('"1-1-ABCDEF01"'), { status: 200, text: '1' }, 'it is another already')
  t.match(await read(etag, 1), { status: 304 }, 'the time is up')
  const changed = read(etag)
  await waiting()
  await query(`update cache_entries set value = '2'`)
  const { headers, text, status } = await changed
  t.match({ status, text }, { status: 200, text: '2' })
  const head = read(String(headers.etag), 60, '/v1/entries/a', 'HEAD')
  await waiting()
  await query(`update cache_entries set value = '3'`)
  const { headers: third } = await head
  t.match(await head, { status: 200, text: '' }, 'HEAD waits, too')
  const deleted = read(String(third.etag))
  await waiting()
  await client.delete('a')
  t.match(await deleted, { status: 404 })

  const { headers: short } = await client.request('PUT', '/v1/entries/a', {
    raw: '1',
    headers: { 'Cache-Control': 'max-age=1' },
  })
  t.match(await read(String(short.etag)), { status: 404 }, 'it has expired')
})
