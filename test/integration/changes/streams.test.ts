import { connect } from 'node:net'
import t from 'tap'
import { cacheDatabase, type Owner } from '../../support/database.js'
import { EventStream } from '../../support/event-stream.js'
import { eventually } from '../../support/eventually.js'
import { startLiveSidecar } from '../../support/sidecar.js'

async function setup(t: Owner) {
  const database = await cacheDatabase(t)
  const { client, sidecar } = await startLiveSidecar(t, { databaseUrl: database.url })
  const follow = (query = '', headers = {}) =>
    EventStream.open(t, `${client.base}/v1/changes${query}`, headers)
  return { ...database, client, sidecar, follow }
}

t.test('a stream has every change: by a sidecar, by SQL, and deletes', async (t) => {
  const { client, follow, query } = await setup(t)
  const stream = await follow()
  t.match(stream.headers, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  t.match(await stream.next(), {
    name: 'open',
    data: { stream: /^[\w-]+\.1$/, feed: /^[\w-]+\.\d+$/, max_staleness_ms: 3_000 },
  })

  const { headers } = await client.request('PUT', '/v1/entries/a', { raw: '1' })
  const change = await stream.next()
  t.match(change, { id: /^[\w-]+:\d+$/, name: 'change', data: { key: 'a', version: /^\d+$/ } })
  t.ok(headers.etag?.startsWith(`"${change?.data.version}-`), 'the version is that of the entity tag')

  await query(`insert into cache_entries (key, value) values ('b', '1')`)
  t.match(await stream.next(), { name: 'change', data: { key: 'b' } })
  await client.delete('a')
  t.match(await stream.next(), { data: { key: 'a', version: /^-\d+$/, deleted: true } })
  const long = 'x'.repeat(1_000)
  await client.set(long, 1)
  t.match(await stream.next(), { data: { key: undefined, key_hash: /^[0-9a-f]{64}$/, version: /^\d+$/ } })
})

t.test('a stream for a prefix has its keys, and those that are too long to name', async (t) => {
  const { client, follow } = await setup(t)
  const stream = await follow('?prefix=user:')
  for (const key of ['order:1', 'user:1', 'x'.repeat(1_000), 'order:2', 'user:é']) await client.set(key, 1)
  t.match(await stream.next('change'), { data: { key: 'user:1' } })
  t.match(await stream.next('change'), { data: { key_hash: /./ } })
  t.match(await stream.next('change'), { data: { key: 'user:é' } })
})

t.test('a change of a bound row has no version', async (t) => {
  const { client, follow, query } = await setup(t)
  await query(`create table item (id int primary key, v text); select cache_bind('item', key => 'item:{id}')`)
  const stream = await follow()
  await query(`insert into item values (1, 'a')`)
  t.same((await stream.next('change'))?.data, { key: 'item:1' })
  t.match(await client.get('item:1'), { status: 200 })
})

t.test('a client that comes back gets what it has missed', async (t) => {
  const { client, follow } = await setup(t)
  const first = await follow()
  for (const key of ['a', 'b']) await client.set(key, 1)
  const { id = '' } = (await first.next('change')) ?? {}
  t.match(await first.next('change'), { data: { key: 'b' } })
  first.close()
  await client.set('c', 1)
  await eventually(async () => (await client.stats()).changes_applied === 3)

  const again = await follow('', { 'Last-Event-ID': id })
  t.match(await again.next(), { id, name: 'open' })
  t.match(await again.next(), { name: 'change', data: { key: 'b' } })
  t.match(await again.next(), { name: 'change', data: { key: 'c' } })
})

t.test('a client that was cut off before the first change gets what it has missed', async (t) => {
  const { client, follow } = await setup(t)
  const first = await follow()
  const { id = '' } = (await first.next('open')) ?? {}
  first.close()
  await client.set('a', 1)
  await eventually(async () => (await client.stats()).changes_applied === 1)

  const again = await follow('', { 'Last-Event-ID': id })
  await again.next('open')
  t.match(await again.next(), { name: 'change', data: { key: 'a' } })
})

t.test('a client that may have missed changes is told so', async (t) => {
  const { client, follow, query } = await setup(t)
  const stream = await follow()
  const feed = (await stream.next('open'))?.data.feed
  await client.set('a', 1)
  const { id = '' } = (await stream.next('change')) ?? {}

  const gaps: Record<string, () => Promise<unknown>> = {
    'more has changed than can be named': () => query('truncate cache_entries'),
    'the feed was lost': () =>
      query(`select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and query ilike '%listen%' and pid <> pg_backend_pid()`),
    'a table was bound': () =>
      query(`create table item (id int primary key); select cache_bind('item', key => 'item:{id}')`),
    'the table was rewritten': () => query('alter table cache_entries alter key type varchar(1024)'),
  }
  let before = feed
  let last = id
  for (const [name, cause] of Object.entries(gaps)) {
    await cause()
    const gap = await stream.next('gap')
    t.match(gap, { id: /./, data: { feed: /./ } }, name)
    t.not(gap?.data.feed, before, 'another generation')
    before = gap?.data.feed
    last = gap?.id ?? ''
  }
  for (const [name, lastId] of Object.entries({
    'from before a gap': id,
    'of another process': `${'x'.repeat(12)}:${last.split(':')[1]}`,
    'that does not exist yet': `${id.split(':')[0]}:99999`,
    'of no form': 'whatever',
  })) {
    const again = await follow('', { 'Last-Event-ID': lastId })
    t.equal(
      (await again.next('open'))?.id,
      undefined,
      'a client that is cut off before the gap must not skip it',
    )
    t.equal((await again.next())?.name, 'gap', `an id ${name}`)
  }
})

t.test(
  'a slow client takes no memory, gets everything once it reads, and is cut off if that is too late',
  async (t) => {
    const { client, follow, query } = await setup(t)
    const [slow, late] = await Promise.all([follow(), follow('?prefix=k')])
    slow.pause()
    late.pause()
    const responses = async () => (await client.stats()).memory.responses.bytes
    const reserved = await responses()
    // Long keys: the socket buffers of the system take megabytes.
    const write = (from: number, to: number) =>
      query(`insert into cache_entries (key, value)
           select 'k' || lpad(n::text, 500, '0'), '1' from generate_series(${from}, ${to}) n`)
    for (let from = 1; from < 8_000; from += 1_000) await write(from, from + 999)
    await eventually(async () => (await client.stats()).changes_applied >= 8_000)
    t.equal(await responses(), reserved)
    slow.resume()
    const seen = new Set<unknown>()
    while (seen.size < 8_000) seen.add((await slow.next('change'))?.data.key)
    t.pass('nothing is missing')
    for (let from = 8_001; from < 40_000; from += 1_000) await write(from, from + 999)
    await eventually(async () => (await client.stats()).change_streams.cut_off === 1)
    late.resume()
    await eventually(async () => (await client.stats()).change_streams.open === 1)
  },
)

t.test('a stream ends when its client goes away, or sends no more', async (t) => {
  const { client, sidecar } = await setup(t)
  const isOpen = async (count: number) => (await client.stats()).change_streams.open === count
  const socket = connect({ port: sidecar.port, host: '127.0.0.1', allowHalfOpen: true })
  t.teardown(() => socket.destroy())
  socket.write('GET /v1/changes HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await eventually(() => isOpen(1))
  socket.end()
  await eventually(() => isOpen(0))
  t.equal((await client.stats()).memory.responses.bytes, 0)
})

t.test('streams end when the sidecar stops', async (t) => {
  const { sidecar, follow } = await setup(t)
  const stream = await follow()
  t.ok(await stream.next('open'))
  await sidecar.close()
  t.equal(await stream.next(), undefined)
})

t.test('requests that cannot be served', async (t) => {
  const { client } = await setup(t)
  t.match(await client.request('GET', '/v1/changes?prefix=%00'), {
    status: 422,
    body: { detail: /^prefix: / },
  })
  t.match(await client.request('GET', '/v1/changes?prefx=a'), {
    status: 422,
    body: { detail: /did you mean prefix/ },
  })
  t.match(await client.request('HEAD', '/v1/changes'), {
    status: 200,
    text: '',
    headers: { 'content-type': /^text\/event-stream/ },
  })
})
