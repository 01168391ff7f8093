/** Tests of `POST /v1/entries:get`, with the fast lane and without. */
import { connect } from 'node:net'
import pg from 'pg'
import t, { type Test } from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { proxyTo } from '../../support/half-open-proxy.js'
import type { Answer, JsonClient, Sending } from '../../support/json-client.js'
import { exchange } from '../../support/raw-http.js'
import { type StartOptions, startLiveSidecar, startSidecar } from '../../support/sidecar.js'

const path = '/v1/entries:get'
const mebibyte = 1024 * 1024

interface Found {
  readonly key: string
  readonly value: unknown
  readonly source: string
  readonly etag?: string
}

function getMany(client: JsonClient, body: object, sending: Sending = {}): Promise<Answer> {
  return client.request('POST', path, { body, ...sending })
}

function entriesOf({ body }: Answer): readonly Found[] {
  return body.entries as Found[]
}

function withoutTags(text: string): string {
  return text.replaceAll(/,"etag":"\\"[^"]*\\""/g, '')
}

/** Number of statements that read entries for requests, and of the keys in them. */
async function statementsOf(ops: JsonClient): Promise<{ count: number; keys: number }> {
  const { text } = await ops.request('GET', '/metrics')
  const figure = (name: string) =>
    Number(new RegExp(`^caching_layer_batch_keys_${name}\\{.*"read".*\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
  return { count: figure('count'), keys: figure('sum') }
}

for (const isFastLaneOn of [true, false]) {
  const lane = isFastLaneOn ? 'with the fast lane' : 'without the fast lane'
  const start = (t: Test, options: StartOptions) => startLiveSidecar(t, { isFastLaneOn, ...options })

  t.test(`${lane}: entries come in the order of the request, each key once`, async (t) => {
    const { url } = await cacheDatabase(t)
    const { client, ops } = await start(t, { databaseUrl: url })
    const other = (await start(t, { databaseUrl: url })).client
    const spelt = '{"b":1.10,"10":12345678901234567890,"a":"\\u00e9"}'
    const raw = `{"key":"spelt","value":${spelt}}`
    await other.request('POST', '/cache/set', { raw })
    await other.set('sch\u00f6n "q"', 'text\n\u2028')
    await client.set('held', [1])
    await client.held('held')
    const before = await statementsOf(ops)
    const read = await getMany(client, {
      keys: ['none', 'spelt', 'held', 'spelt', 'sch\u00f6n "q"', 'none', 'nor this'],
    })
    t.equal(read.status, 200)
    t.ok(entriesOf(read).every(({ etag }) => /^"\d+-\d+-[0-9A-F]{8}"$/.test(etag ?? '')))
    t.equal(
      withoutTags(read.text),
      `{"entries":[{"key":"spelt","value":${spelt},"source":"db"},{"key":"held","value":[1],"source":"cache"},` +
        '{"key":"sch\u00f6n \\"q\\"","value":"text\\n\u2028","source":"db"}],"missing":["none","nor this"]}',
    )
    t.match(read.headers, {
      'content-type': 'application/json; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'cache-status': 'caching-layer; fwd=partial',
      age: '0',
    })
    t.strictSame(await statementsOf(ops), { count: before.count + 1, keys: before.keys + 4 })
    const hits = await getMany(client, { keys: ['spelt', 'held'] })
    t.match(hits.headers, { 'cache-status': 'caching-layer; hit' })
    t.strictSame(
      entriesOf(hits).map(({ source }) => source),
      ['cache', 'cache'],
    )
    t.equal((await getMany(client, { keys: [] })).text, '{"entries":[],"missing":[]}')
  })

  t.test(`${lane}: 1,000 keys are read by one statement`, async (t) => {
    const { url, query } = await cacheDatabase(t)
    const { client, ops } = await start(t, { databaseUrl: url, capacity: 2_000 })
    await query(`insert into cache_entries (key, value)
      select 'k' || n, repeat('x', case when n % 100 = 0 then 20000 else 10 end) from generate_series(1, 900) n`)
    const keys = Array.from({ length: 1_000 }, (_, index) => `k${index + 1}`)
    for (const consistency of ['bounded', 'strong']) {
      const before = await statementsOf(ops)
      const read = await getMany(client, { keys, consistency })
      t.equal(read.status, 200)
      t.equal(Number(read.headers['content-length']), Buffer.byteLength(read.text))
      t.strictSame(
        entriesOf(read).map(({ key }) => key),
        keys.slice(0, 900),
      )
      t.strictSame(read.body.missing, keys.slice(900))
      t.ok(
        entriesOf(read).every(
          ({ key, value }) => String(value).length === (key.endsWith('00') ? 20_000 : 10),
        ),
      )
      t.strictSame(
        await statementsOf(ops),
        { count: before.count + 1, keys: before.keys + 1_000 },
        consistency,
      )
    }
  })

  t.test(`${lane}: a strong read sees no part of a transaction`, async (t) => {
    const { url, query } = await cacheDatabase(t)
    // Nothing is held, so that all values are transferred.
    const { client } = await start(t, { databaseUrl: url, maxBytes: 1, memoryBytes: 64 * mebibyte })
    // The values differ in size, so that a batch of single reads would need two statements for them.
    await query(`insert into cache_entries (key, value)
      select 'k' || n, '0 ' || repeat('x', case when n = 1 then 100000 else 10 end) from generate_series(1, 200) n`)
    const writer = new pg.Client(url)
    await writer.connect()
    t.teardown(() => writer.end())
    let isWriting = true
    const writing = (async () => {
      for (let n = 1; isWriting; n++)
        await writer.query(
          `update cache_entries set value = $1 || substr(value, strpos(value, ' ')) where key in ('k1', 'k2', 'k200')`,
          [n],
        )
    })()
    const keys = Array.from({ length: 200 }, (_, index) => `k${index + 1}`)
    const seen = new Set<string>()
    let torn = 0
    try {
      for (let round = 0; round < 100; round++) {
        const entries = entriesOf(await getMany(client, { keys, consistency: 'strong' }))
        const numbers = new Set([0, 1, 199].map((index) => String(entries[index]?.value).split(' ', 1)[0]))
        if (numbers.size !== 1) torn++
        for (const number of numbers) seen.add(String(number))
      }
    } finally {
      isWriting = false
      await writing
    }
    t.equal(torn, 0)
    t.ok(seen.size > 20, `${seen.size} states were seen`)
  })

  t.test(`${lane}: options of a read are those of a GET`, async (t) => {
    const { url, query } = await cacheDatabase(t)
    const proxy = await proxyTo(t, url)
    const { client } = await start(t, { databaseUrl: url, databaseListenUrl: proxy.url })
    const writer = (await start(t, { databaseUrl: url })).client
    await query("insert into cache_entries (key, value) values ('a', 'old'), ('b', 'old')")
    const keys = ['a', 'b']
    const valuesOf = async (body: object, headers = {}) => {
      const read = await getMany(
        client,
        { keys, ...body },
        { headers: { 'Content-Type': 'application/json', ...headers } },
      )
      return entriesOf(read).map(({ value, source }) => `${value} ${source}`)
    }
    const onlyIfCached = { 'Cache-Control': 'only-if-cached', 'Content-Type': 'application/json' }
    t.match(await getMany(client, { keys }, { headers: onlyIfCached }), { status: 504 })
    await client.held('a')
    t.match(await getMany(client, { keys }, { headers: onlyIfCached }), { status: 504 }, 'one is not held')
    await client.held('b')
    t.strictSame(await valuesOf({}, onlyIfCached), ['old cache', 'old cache'])
    // Changes do not arrive any more; what is held is still within the lease.
    proxy.freeze()
    const { token } = (await writer.set('b', 'new')).body as { token: string }
    t.strictSame(await valuesOf({ consistency: 'bounded' }), ['old cache', 'old cache'])
    t.strictSame(await valuesOf({}, { 'Cache-Token': token }), ['old cache', 'new db'])
    await writer.set('a', 'newer')
    t.strictSame(await valuesOf({ consistency: 'strong' }), ['newer db', 'new db'])
    await writer.set('a', 'newest')
    t.strictSame(await valuesOf({}, { 'Cache-Control': 'no-cache' }), ['newest db', 'new db'])
  })

  t.test(`${lane}: bad requests are refused`, async (t) => {
    const { url } = await cacheDatabase(t)
    const { client, sidecar } = await start(t, { databaseUrl: url })
    const keys = ['a']
    for (const [body, detail] of [
      [{}, /^keys: missing$/],
      [{ keys: 'a' }, /^keys: must be an array of strings$/],
      [{ keys: null }, /^keys: must be an array of strings$/],
      [{ keys: ['a', 1] }, /^keys\[1\]: must be a string$/],
      [{ keys: ['a', 'b', ''] }, /^keys\[2\]: must not be empty$/],
      [{ keys: ['x'.repeat(1_025)] }, /^keys\[0\]: longer than 1024 bytes/],
      [{ keys: ['a\0'] }, /^keys\[0\]: must not contain U\+0000$/],
      [{ keys: Array.from({ length: 1_001 }, () => 'a') }, /^keys: more than 1000$/],
      [{ keys, consistency: 'eventual' }, /^consistency: must be strong or bounded$/],
      [{ keys, consistency: true }, /^consistency: must be strong or bounded$/],
      [{ keys, consistency: null }, /^consistency: must be strong or bounded$/],
      [{ keys, consistancy: 'strong' }, /^consistancy: unknown member; did you mean consistency\?$/],
      [{ key: 'a' }, /^key: unknown member; did you mean keys\?$/],
      [{ keys, token: 'x' }, /^token: unknown member; this request has keys and consistency$/],
      [[], /^body: must be a JSON object$/],
    ] as const) {
      const refused = await getMany(client, body)
      t.match(refused, { status: 422, body: { status: 422, detail } }, JSON.stringify(body).slice(0, 60))
    }
    const raw = (text: string) => getMany(client, {}, { body: undefined, raw: text })
    t.match(await raw('{"keys":["a"],"keys":["b"]}'), { status: 422, body: { detail: /^keys: given more/ } })
    t.match(await raw('{"keys":'), { status: 422, body: { detail: /^body: not valid JSON/ } })
    t.match(await raw(`{"keys":["${'x'.repeat(2 * mebibyte)}"]}`), {
      status: 413,
      body: { detail: /^body: larger than 2097152 bytes$/ },
    })
    for (const [query, detail] of [
      ['?consistency=strong', /^consistency: belongs in the body$/],
      ['?key=a', /^key: belongs in the body$/],
      ['?token=x', /^token: belongs in the header Cache-Token$/],
      ['?consistancy=strong', /^consistancy: unknown parameter; did you mean consistency\?$/],
    ] as const)
      t.match(await client.request('POST', path + query, { body: { keys } }), {
        status: 422,
        body: { detail },
      })
    t.equal((await client.request('POST', `${path}?x=1`, { body: { keys } })).status, 200)
    const token = { 'Content-Type': 'application/json', 'Cache-Token': 'nonsense' }
    t.match(await getMany(client, { keys }, { headers: token }), {
      status: 422,
      body: { detail: /^token: / },
    })
    const plain = { headers: { 'Content-Type': 'text/plain' } }
    t.match(await getMany(client, { keys }, plain), { status: 415 })
    const packed = { headers: { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' } }
    t.match(await getMany(client, { keys }, packed), { status: 415 })
    for (const method of ['GET', 'PUT', 'DELETE'])
      t.match(await client.request(method, path), { status: 405, headers: { allow: 'POST' } }, method)
    for (const other of ['/v1/entriesXget', '/v1/entries:got', '/v1/entries:get/'])
      t.match(await client.request('POST', other, { body: { keys } }), { status: 404 }, other)
    const request = (line: string) => `${line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`
    const twice = await exchange(sidecar.port, request('GET /cache/get?key=a&key=b'))
    t.match(twice, /^HTTP\/1\.1 422 /)
    t.match(twice, 'key: given more than once; to read several keys, use POST /v1/entries:get')
    const deleted = await client.request('DELETE', '/cache/delete?key=a&key=b')
    t.match(deleted, { status: 422, body: { detail: 'key: given more than once' } })
    t.match(await client.request('GET', '/'), { body: { endpoints: [/./, /./, 'POST /cache/set'] } })
    const { endpoints } = (await client.request('GET', '/')).body as { endpoints: string[] }
    t.ok(endpoints.includes(`POST ${path}`))
  })

  t.test(`${lane}: a token is required if there is one`, async (t) => {
    const { url } = await cacheDatabase(t)
    const guarded = await startSidecar(t, {
      databaseUrl: url,
      apiToken: 'a-token-of-some-length',
      isFastLaneOn,
    })
    t.match(await getMany(guarded.client, { keys: ['a'] }), { status: 401 })
    const headers = { 'Content-Type': 'application/json', Authorization: 'Bearer a-token-of-some-length' }
    t.match(await getMany(guarded.client, { keys: ['a'] }, { headers }), { status: 200 })
  })

  t.test(`${lane}: requests are counted by route and source`, async (t) => {
    const { url, query } = await cacheDatabase(t)
    const { client, ops } = await start(t, { databaseUrl: url })
    await query("insert into cache_entries (key, value) values ('a', 'v')")
    await getMany(client, { keys: ['a', 'none'] })
    await client.held('a')
    await getMany(client, { keys: ['a'] })
    await getMany(client, {})
    const { text } = await ops.request('GET', '/metrics')
    for (const labels of [
      'outcome="ok",source="db"',
      'outcome="ok",source="cache"',
      'outcome="refused",source="none"',
    ])
      t.match(text, `caching_layer_requests_total{route="${path}",${labels}} 1`)
    const { hits, misses } = await client.stats()
    t.ok(hits >= 1)
    t.ok(misses >= 2)
  })

  t.test(`${lane}: what has no room is refused`, async (t) => {
    const { url, query } = await cacheDatabase(t)
    const memory = { memoryBytes: 64 * mebibyte, databaseTimeoutMs: 20_000 }
    const { client, sidecar } = await start(t, { databaseUrl: url, ...memory })
    await query(`insert into cache_entries (key, value)
      select 'k' || n, repeat('x', 100000) from generate_series(1, 200) n
      union all select 'huge', repeat('x', 3000000) union all select 'small', 'v'`)
    const keys = (count: number) => Array.from({ length: count }, (_, index) => `k${index + 1}`)
    const shared = async () => (await client.stats()).memory.responses.bytes

    const fits = await getMany(client, { keys: keys(60) })
    t.equal(fits.status, 200, '6 MB are read by several statements')
    t.equal(entriesOf(fits).length, 60)
    t.ok(entriesOf(fits).every(({ value }) => String(value).length === 100_000))
    t.match(await getMany(client, { keys: keys(200) }), {
      status: 413,
      body: { detail: /^keys: their values are larger than 6710886 bytes together; ask for fewer keys$/ },
    })
    t.match(
      await getMany(client, { keys: keys(60), consistency: 'strong' }),
      { status: 200 },
      'most are held',
    )
    const cold = (await start(t, { databaseUrl: url, ...memory })).client
    t.match(await getMany(cold, { keys: keys(60), consistency: 'strong' }), {
      status: 413,
      body: { detail: /^The values of these keys are too large together for one statement/ },
    })
    t.match(await getMany(cold, { keys: keys(10), consistency: 'strong' }), { status: 200 })
    t.match(await getMany(client, { keys: ['k1', 'huge'] }), {
      status: 413,
      body: { detail: /^huge: The value in the database is too large/ },
    })
    t.equal(await shared(), 0, 'every response has released its room')

    const body = JSON.stringify({ keys: keys(60) })
    const unread = connect(sidecar.port, '127.0.0.1', () =>
      unread.write(
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      ),
    )
    unread.pause()
    unread.on('error', () => undefined)
    t.teardown(() => unread.destroy())
    await eventually(async () => (await shared()) > 6_000_000)
    t.match(await getMany(client, { keys: keys(60) }), {
      status: 503,
      headers: { 'retry-after': '1' },
      body: { detail: /^No memory is left for the response/ },
    })
    t.equal((await getMany(client, { keys: ['small'] })).status, 200, 'small ones still find room')
    unread.destroy()
    await eventually(async () => (await shared()) === 0)
    t.equal((await getMany(client, { keys: keys(60) })).status, 200)
  })

  t.test(`${lane}: during an outage`, async (t) => {
    const { url } = await cacheDatabase(t)
    const proxy = await proxyTo(t, url)
    const { client } = await start(t, { databaseUrl: proxy.url, maxStalenessMs: 300 })
    await client.set('a', 'v')
    await client.held('a')
    proxy.refusing = true
    proxy.cut()
    await eventually(async () => (await client.get('a')).body.stale === true)
    await client.set('b', 'kept')
    const stale = await getMany(client, { keys: ['b', 'a'] })
    t.equal(
      withoutTags(stale.text),
      '{"entries":[{"key":"b","value":"kept","source":"cache","stale":true},' +
        '{"key":"a","value":"v","source":"cache","stale":true}],"missing":[]}',
    )
    for (const body of [{ keys: ['a', 'c'] }, { keys: ['a'], consistency: 'strong' }])
      t.match(await getMany(client, body), { status: 503, headers: { 'retry-after': /./ } })
  })
}
