/** Tests of values that are no JSON and no text, at `/v1/entries/{key}` and at the other endpoints. */
import t from 'tap'
import { cacheDatabase, ownServer } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const octets = 'application/octet-stream'

/** Every byte, NUL and invalid UTF-8 among them, and lengths that base64 pads in each way. */
const values: readonly Buffer[] = [
  Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
  Buffer.from([]),
  Buffer.from([0]),
  Buffer.from([0xff, 0xfe]),
  Buffer.from([0xc3, 0x28, 0]),
  Buffer.from('text'),
]

interface Got {
  readonly status: number
  readonly type: string | null
  readonly tag: string | null
  readonly bytes: Buffer
}

async function get(base: string, key: string, query = ''): Promise<Got> {
  const { status, headers, ...response } = await fetchOf(`${base}/v1/entries/${key}${query}`)
  return { status, type: headers.get('content-type'), tag: headers.get('etag'), bytes: response.bytes }
}

async function fetchOf(url: string) {
  const response = await fetch(url)
  return {
    status: response.status,
    headers: response.headers,
    bytes: Buffer.from(await response.arrayBuffer()),
  }
}

function put(base: string, key: string, bytes: Buffer, type?: string): Promise<Response> {
  const headers: Record<string, string> = type === undefined ? {} : { 'Content-Type': type }
  return fetch(`${base}/v1/entries/${key}`, { method: 'PUT', headers, body: bytes })
}

for (const isFastLaneOn of [true, false]) {
  const lane = isFastLaneOn ? 'with the fast lane' : 'without the fast lane'

  t.test(
    `${lane}: any bytes come back from memory, from the database and from another sidecar`,
    async (t) => {
      const { url, query } = await cacheDatabase(t)
      const options = { databaseUrl: url, isFastLaneOn }
      const bases = []
      for (let n = 0; n < 2; n++) bases.push((await startLiveSidecar(t, options)).client)
      const types = [octets, 'image/png', 'text/plain', 'text/plain; charset=iso-8859-1', undefined]
      for (const [index, bytes] of values.entries()) {
        for (const type of types) {
          const key = `${index}-${types.indexOf(type)}`
          const created = await put(bases[0]?.base ?? '', key, bytes, type)
          t.equal(created.status, 201)
          for (const { base } of bases) {
            for (const how of ['', '', '?consistency=strong', '']) {
              const got = await get(base, key, how)
              t.strictSame(got, {
                status: 200,
                type: type ?? octets,
                tag: created.headers.get('etag'),
                bytes,
              })
            }
          }
        }
      }
      const { rows } = await query(`select key, value, content_type from cache_entries
      where key in ('3-0', '5-0', '5-2', '2-2', '5-3', '5-4') order by key`)
      t.strictSame(rows, [
        { key: '2-2', value: 'AA==', content_type: 'text/plain;base64' },
        { key: '3-0', value: '//4=', content_type: 'application/octet-stream;base64' },
        { key: '5-0', value: 'dGV4dA==', content_type: 'application/octet-stream;base64' },
        { key: '5-2', value: 'text', content_type: 'text/plain' },
        { key: '5-3', value: 'dGV4dA==', content_type: 'text/plain; charset=iso-8859-1;base64' },
        { key: '5-4', value: 'dGV4dA==', content_type: 'application/octet-stream;base64' },
      ])
    },
  )

  t.test(`${lane}: the other endpoints give the bytes in base64, and say so`, async (t) => {
    const { url } = await cacheDatabase(t)
    const { client } = await startLiveSidecar(t, { databaseUrl: url, isFastLaneOn })
    await put(client.base, 'b', Buffer.from([0, 255]), octets)
    await put(client.base, 't', Buffer.from('AP8='), 'text/plain')
    const binary = (source: string) => `{"key":"b","value":"AP8=","encoding":"base64","source":"${source}"}`
    await client.held('b')
    t.equal((await client.get('b')).text, binary('cache'))
    t.equal((await client.request('GET', '/cache/get?key=b&consistency=strong')).text, binary('db'))
    await client.held('t')
    t.equal((await client.get('t')).text, '{"key":"t","value":"AP8=","source":"cache"}')
    const several = await client.request('POST', '/v1/entries:get', { body: { keys: ['b', 't'] } })
    t.match(several.body.entries, [{ value: 'AP8=', encoding: 'base64' }, { value: 'AP8=' }])
    t.notOk('encoding' in ((several.body.entries as object[])[1] ?? {}))
    const { entries } = (await client.request('GET', '/v1/entries?values=true')).body
    t.match(entries, [{ key: 'b', value: 'AP8=', encoding: 'base64', size: 4 }, { key: 't' }])
    t.notOk('encoding' in ((entries as object[])[1] ?? {}))
  })
}

t.test('SQL that does not know of types turns a value into what it writes', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  const { base } = client
  const statements = [
    `update cache_entries set value = 'AP9=' where key = 'k'`,
    `insert into cache_entries (key, value) values ('k', 'AP9=')
     on conflict (key) do update set value = excluded.value, updated_at = now()`,
    `update cache_entries set value = 'AP9=', content_type = null where key = 'k'`,
  ]
  for (const statement of statements) {
    for (const type of [octets, 'text/plain', 'application/json; charset=utf-8']) {
      await put(base, 'k', Buffer.from('"\u00e9"'), type)
      await get(base, 'k')
      await query(statement)
      const got = await get(base, 'k', '?consistency=strong')
      t.match(
        got,
        { status: 200, type: 'application/json', bytes: Buffer.from('"AP9="') },
        `${type}: ${statement}`,
      )
      await query('delete from cache_entries')
    }
  }
  await put(base, 'k', Buffer.from([0]), octets)
  await client.set('k', 'AA==')
  t.match(await get(base, 'k'), { type: 'application/json', bytes: Buffer.from('"AA=="') })
})

t.test('a text that does not fit its type is a string', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  const rows: readonly [string, string][] = [
    ['not base64!', 'image/png;base64'],
    ['AP9=', 'image/png;base64'],
    ['AP8', 'image/png;base64'],
    ['AP8=\n', 'image/png;base64'],
    ['a', 'text/plain\r\nSet-Cookie: a=b'],
    ['a', 'text/\u00e9'],
    ['a', ';base64'],
    ['a', ''],
    ['a', `text/${'a'.repeat(300)}`],
    ['{', 'application/json; a=b'],
    ['null', 'application/json; a=b'],
    ['a', 'application/json'],
    ['MQ==', 'application/json;base64'],
    ['MQ==', 'Application/JSON; a=b;base64'],
    ['{}', 'application/json;base64'],
  ]
  for (const [index, [value, type]] of rows.entries()) {
    await query('insert into cache_entries (key, value, content_type) values ($1, $2, $3)', [
      index,
      value,
      type,
    ])
    for (const how of ['', '', '?consistency=strong']) {
      const got = await get(client.base, String(index), how)
      t.match(got, { status: 200, type: 'application/json', bytes: Buffer.from(JSON.stringify(value)) }, type)
    }
    const several = await client.request('POST', '/v1/entries:get', { body: { keys: [String(index)] } })
    t.match(several.body.entries, [{ value }], type)
    t.equal((await put(client.base, String(index), Buffer.from('1'), 'application/json')).status, 204)
  }
})

t.test('a value changed under its version is noticed by a strong read', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  await put(client.base, 'k', Buffer.from([1]), octets)
  await get(client.base, 'k')
  for (const change of [
    `content_type = 'image/png;base64'`,
    `value = 'Ag=='`,
    `content_type = 'text/plain'`,
  ]) {
    await query('alter table cache_entries disable trigger all')
    await query(`update cache_entries set ${change}`)
    await query('alter table cache_entries enable trigger all')
    const [row] = (await query<{ value: string; content_type: string }>('select * from cache_entries')).rows
    const { value = '', content_type = '' } = row ?? {}
    const [type] = content_type.split(';')
    const isText = type === 'text/plain'
    t.match(await get(client.base, 'k', '?consistency=strong'), {
      type,
      bytes: isText ? Buffer.from(value) : Buffer.from(value, 'base64'),
    })
  }
})

t.test('a binary value has three quarters of the room of a text', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, maxValueBytes: 1_000 })
  t.equal((await put(client.base, 'k', Buffer.alloc(750), octets)).status, 201)
  t.equal((await get(client.base, 'k')).bytes.length, 750)
  const refused = await put(client.base, 'k', Buffer.alloc(751), octets)
  t.equal(refused.status, 413)
  t.match(await refused.json(), { detail: 'body: larger than 750 bytes, and binary' })
})

t.test('writes of entries during an outage', async (t) => {
  const server = await ownServer(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: server.url(), maxStalenessMs: 500 })
  const { base } = client
  const before = await put(base, 'held', Buffer.from([1]), octets)
  const tag = before.headers.get('etag') ?? ''
  await get(base, 'held')
  await server.stop('immediate')
  const write = (key: string, method: string, headers: Record<string, string>) =>
    fetch(`${base}/v1/entries/${key}`, {
      method,
      headers: { 'Content-Type': octets, ...headers },
      ...(method === 'PUT' && { body: Buffer.from([0, 2]) }),
    })
  for (const method of ['PUT', 'DELETE']) {
    for (const condition of [{ 'If-Match': tag }, { 'If-Match': '*' }, { 'If-None-Match': '*' }]) {
      const refused = await write('held', method, condition)
      t.equal(refused.status, 503)
      t.ok(refused.headers.has('retry-after'))
    }
  }
  t.equal((await client.stats()).writes.pending, 0)
  for (const key of ['held', 'new']) {
    const kept = await write(key, 'PUT', {})
    t.equal(kept.status, 202)
    t.notOk(kept.headers.has('etag'))
    t.notOk(kept.headers.has('cache-token'))
    t.equal(await kept.text(), '{"pending":true}')
    t.match(await get(base, key), { status: 200, type: octets, tag: null, bytes: Buffer.from([0, 2]) })
  }
  t.equal((await client.stats()).writes.pending, 2)
  t.equal((await write('gone', 'DELETE', {})).status, 202)
  t.equal((await get(base, 'gone')).status, 404)
  await server.start()
  await eventually(async () => {
    const { writes, feed } = await client.stats()
    return writes.pending === 0 && feed.state === 'live'
  })
  t.match((await client.stats()).writes, { pending_conflicts: 0, pending_settled: 3 })
  for (const key of ['held', 'new'])
    t.match(await get(base, key, '?consistency=strong'), { type: octets, bytes: Buffer.from([0, 2]) })
  t.equal((await write('held', 'PUT', { 'If-Match': tag })).status, 412, 'the pending write came first')
})

t.test('with CACHE_ON_WRITE_OUTAGE=reject, a write of an entry is 503 during an outage', async (t) => {
  const server = await ownServer(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: server.url(), onWriteOutage: 'reject' })
  await server.stop('immediate')
  t.equal((await put(client.base, 'k', Buffer.from([1]), octets)).status, 503)
  t.equal((await fetch(`${client.base}/v1/entries/k`, { method: 'DELETE' })).status, 503)
})
