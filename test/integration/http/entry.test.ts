/** Tests of `/v1/entries/{key}`, with the fast lane and without. */
import t, { type Test } from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import type { Answer, JsonClient, Sending } from '../../support/json-client.js'
import { exchange } from '../../support/raw-http.js'
import { type StartOptions, startLiveSidecar } from '../../support/sidecar.js'

const json = { 'Content-Type': 'application/json' }
const text = { 'Content-Type': 'text/plain; charset=utf-8' }

function at(key: string): string {
  return `/v1/entries/${encodeURIComponent(key)}`
}

function put(client: JsonClient, key: string, raw: Sending['raw'], headers: Sending['headers'] = json) {
  return client.request('PUT', at(key), { raw: raw ?? '', headers: { ...headers } })
}

function get(client: JsonClient, key: string, headers: Sending['headers'] = {}): Promise<Answer> {
  return client.request('GET', at(key), { headers: { ...headers } })
}

async function rowsOf(result: Promise<{ rows: object[] }>): Promise<object[]> {
  return (await result).rows
}

/** Reads until the entry is served from memory as fresh. */
async function held(client: JsonClient, key: string): Promise<Answer> {
  let answer = await get(client, key)
  await eventually(async () => {
    answer = await get(client, key)
    return String(answer.headers['cache-status']).startsWith('caching-layer; hit; ttl=')
  })
  return answer
}

for (const isFastLaneOn of [true, false]) {
  const lane = isFastLaneOn ? 'with the fast lane' : 'without the fast lane'
  const start = (t: Test, options: StartOptions) => startLiveSidecar(t, { isFastLaneOn, ...options })

  t.test(`${lane}: JSON is the same entry that /cache/set writes and /cache/get reads`, async (t) => {
    const { url, query } = await cacheDatabase(t)
    const { client } = await start(t, { databaseUrl: url })
    const spelt = ' {"b":1.10,"10":12345678901234567890,"a":"\\u00e9"}\n'
    const created = await put(client, 'spelt', spelt)
    t.match(created, { status: 201, text: '' })
    t.type(created.headers['cache-token'], 'string')
    const read = await get(client, 'spelt')
    t.match(read, { status: 200, text: spelt, headers: { 'content-type': 'application/json', age: '0' } })
    t.equal(read.headers.etag, created.headers.etag)
    t.match(read.headers.etag, /^"\d+-\d+-[0-9A-F]{8}"$/)
    t.equal(Number(read.headers['content-length']), Buffer.byteLength(spelt))
    t.match((await client.get('spelt')).text, `{"key":"spelt","value":${spelt},"source":"cache"}`)
    t.strictSame(await rowsOf(query(`select value, content_type from cache_entries`)), [
      { value: spelt, content_type: 'application/json' },
    ])

    await client.set('list', [1, 2])
    t.match(await get(client, 'list'), { status: 200, text: '[1,2]', headers: json2 })
    await client.set('string', 'a "b"')
    t.match(await get(client, 'string'), { status: 200, text: '"a \\"b\\""', headers: json2 })
    await put(client, 'string', '"c"')
    t.equal(await client.value('string'), 'c')
    t.strictSame(await rowsOf(query(`select value, content_type from cache_entries where key = 'string'`)), [
      { value: 'c', content_type: null },
    ])
  })

  t.test(`${lane}: a text is a string, and its Content-Type comes back`, async (t) => {
    const { url, query } = await cacheDatabase(t)
    const { client } = await start(t, { databaseUrl: url })
    const other = (await start(t, { databaseUrl: url })).client
    const line = 'h\u00e9llo "w\u00f6rld"\n\u{1f600}'
    const types = [
      'text/plain',
      'text/plain; charset=UTF-8',
      'Text/Html;charset="utf-8"',
      'application/vnd.api+json',
      'image/svg+xml; a="x;\\"y"',
      'text/plain;',
      'text/plain ; ; charset=utf-8;',
      'application/json; charset=utf-8',
    ]
    for (const type of types) {
      const sent = type.startsWith('application/json') ? JSON.stringify(line) : line
      const created = await put(client, type, sent, { 'Content-Type': type })
      t.equal(created.status, 201, type)
      for (const one of [client, other]) {
        const read = await held(one, type)
        t.match(read, { status: 200, text: sent, headers: { 'content-type': type } })
        t.equal(read.headers.etag, created.headers.etag)
        t.equal(await one.value(type), line)
        const strong = await one.request('GET', `${at(type)}?consistency=strong`)
        t.match(strong, { status: 200, text: sent, headers: { 'content-type': type } })
        t.match(strong.headers['cache-status'], /fwd=request; fwd-status=304/)
      }
      t.strictSame(
        await rowsOf(query('select value, content_type from cache_entries where key = $1', [type])),
        [{ value: sent, content_type: type }],
      )
    }
    await put(client, 'empty', '', text)
    t.match(await get(client, 'empty'), { status: 200, text: '', headers: { 'content-length': '0' } })
    await client.set('text/plain', 'a')
    t.match(await get(client, 'text/plain'), { text: '"a"', headers: json2 }, 'the type went with the value')
  })

  t.test(`${lane}: a key may have slashes, percent signs and any other character`, async (t) => {
    const { url } = await cacheDatabase(t)
    const { client, sidecar } = await start(t, { databaseUrl: url })
    const keys = [
      'a/b',
      '/',
      '//a',
      'a:get',
      '\u00fc%2F?#',
      ' +',
      'a;b=c,d',
      '{key}',
      ':count',
      '\n\u2028',
      '*',
    ]
    for (const [index, key] of keys.entries()) {
      t.equal((await put(client, key, String(index))).status, 201, key)
      t.equal(await client.value(key), index)
      t.equal((await get(client, key)).text, String(index))
    }
    t.equal((await client.request('GET', '/v1/entries/a/b')).text, '0')
    t.equal((await client.request('GET', '/v1/entries/a%2fb')).text, '0')
    t.equal((await client.request('GET', '/v1/entries/%61%2Fb?x=y')).text, '0')
    t.equal((await client.request('GET', '/v1/entries/%20+')).text, '5')
    t.equal((await client.request('PUT', '/v1/entries/a/b', { raw: '9', headers: json })).status, 204)
    t.equal((await client.request('DELETE', '/v1/entries/a%2Fb')).status, 204)
    t.equal((await client.request('GET', '/v1/entries/a/b')).status, 404)
    t.equal(((await client.request('GET', '/v1/entries?prefix=/')).body.entries as unknown[]).length, 2)
    t.match(await client.request('GET', '/v1/entries:count'), { body: { count: keys.length - 1 } })
    t.match(await client.request('POST', '/v1/entries:get', { body: { keys: ['/'] } }), { status: 200 })
    const absolute = `GET http://localhost/v1/entries/a:get HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`
    t.match(await exchange(sidecar.port, absolute), /^HTTP\/1.1 200 OK\r\n[\s\S]*\r\n\r\n3$/)
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
      for (const bad of ['%', '%zz', '%ff', '%00', 'a%00b', '', 'x'.repeat(1_025)]) {
        const answer = await client.request(method, `/v1/entries/${bad}`)
        t.equal(answer.status, 422, `${method} ${bad.slice(0, 9)}`)
        if (method !== 'HEAD') t.match(answer.body.detail, /^key: /)
      }
    }
  })

  t.test(`${lane}: HEAD is GET without a body`, async (t) => {
    const { url } = await cacheDatabase(t)
    const { client } = await start(t, { databaseUrl: url })
    await put(client, 'k', '"h\u00e9"')
    const read = await held(client, 'k')
    const head = await client.request('HEAD', at('k'))
    t.match(head, { status: 200, text: '' })
    for (const name of ['content-type', 'content-length', 'etag', 'age'])
      t.equal(head.headers[name], read.headers[name], name)
    t.match(head.headers['cache-status'], /^caching-layer; hit; ttl=\d+$/)
    t.match(await client.request('HEAD', at('none')), { status: 404, text: '' })
  })

  t.test(`${lane}: If-None-Match is answered with 304, If-Match with 412`, async (t) => {
    const { url } = await cacheDatabase(t)
    const { client } = await start(t, { databaseUrl: url })
    await put(client, 'k', '1')
    const { etag = '' } = (await held(client, 'k')).headers
    for (const tags of [
      etag,
      '*',
      `W/${etag}`,
      `"a", ${etag}`,
      `${etag} ,"b,c"`,
      `"\u00e9",W/"x",${etag}`,
      `${etag},`,
      ` , ,${etag}`,
      `"a",\t,${etag} , `,
    ]) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await client.request(method, at('k'), { headers: { 'If-None-Match': tags } })
        t.match(answer, { status: 304, text: '', headers: { etag } }, tags)
        t.match(answer.headers['cache-status'], /^caching-layer; hit/)
        t.notOk('content-type' in answer.headers)
      }
    }
    const [version] = etag.slice(1).split('-')
    for (const tags of [
      '"a"',
      `"${version}"`,
      etag.replace(/."$/, etag.endsWith('0"') ? '1"' : '0"'),
      `"${version}-1-0A0A0A0A"`,
    ]) {
      t.match(await get(client, 'k', { 'If-None-Match': tags }), { status: 200, text: '1' }, tags)
      t.match(await get(client, 'k', { 'If-Match': tags }), { status: 412 }, tags)
    }
    t.equal((await get(client, 'none', { 'If-None-Match': '*' })).status, 404)
    t.equal((await get(client, 'none', { 'If-Match': '*' })).status, 412)
    t.equal((await get(client, 'k', { 'If-Match': etag })).status, 200)
    t.equal((await get(client, 'k', { 'If-Match': '*' })).status, 200)
    t.equal((await get(client, 'k', { 'If-Match': `W/${etag}` })).status, 412, 'strong comparison')
    for (const bad of ['', ',', ' , ', 'a', '"a', '"a" "b"', '"a",b', ',,b', '*,*', 'w/"a"']) {
      for (const name of ['If-Match', 'If-None-Match']) {
        const answer = await get(client, 'k', { [name]: bad })
        t.match(answer, { status: 422, body: { detail: new RegExp(`^${name}: `) } }, `${name}: ${bad}`)
        t.equal((await put(client, 'k', '2', { ...json, [name]: bad })).status, 422)
      }
    }
    t.equal((await get(client, 'k')).text, '1')
  })
}

const json2 = { 'content-type': 'application/json' }

t.test('a write says whether there was an entry, and a delete of none is 404', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  t.equal((await put(client, 'k', '1')).status, 201)
  t.equal((await put(client, 'k', '2')).status, 204)
  await query(`update cache_entries set expires_at = now() - interval '1 second'`)
  t.equal((await put(client, 'k', '3')).status, 201, 'an entry that has expired does not exist')
  t.strictSame(await rowsOf(query('select value, expires_at from cache_entries')), [
    { value: '3', expires_at: null },
  ])
  const deleted = await client.request('DELETE', at('k'))
  t.match(deleted, { status: 204, text: '' })
  const token = String(deleted.headers['cache-token'])
  t.match(token, /\.-\d+\./)
  t.equal((await get(client, 'k', { 'Cache-Token': token })).status, 404)
  t.match(await client.request('DELETE', at('k')), { status: 404, body: { detail: 'Key not found' } })
  await query(
    `insert into cache_entries (key, value, expires_at) values ('old', 'a', now() - interval '1 s')`,
  )
  t.equal((await client.request('DELETE', at('old'))).status, 404)
  t.strictSame(await rowsOf(query('select key from cache_entries')), [])
  t.equal((await put(client, 'k', '4')).status, 201)
  t.equal((await client.request('GET', `${at('k')}?consistency=strong`)).text, '4')
})

t.test('a condition of a write is decided about the stored entry', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const [a, b] = [
    (await startLiveSidecar(t, { databaseUrl: url })).client,
    (await startLiveSidecar(t, { databaseUrl: url })).client,
  ]
  const write = (client: JsonClient, raw: string, condition: Record<string, string>) =>
    put(client, 'k', raw, { ...json, ...condition })
  t.equal((await write(a, '1', { 'If-Match': '*' })).status, 412)
  const first = await write(a, '1', { 'If-None-Match': '*' })
  t.equal(first.status, 201)
  const one = String(first.headers.etag)
  t.equal((await write(b, '2', { 'If-None-Match': '*' })).status, 412)
  t.match(await write(b, '2', { 'If-Match': '"a"' }), { status: 412, headers: { 'content-type': /problem/ } })
  t.equal((await write(b, '2', { 'If-Match': `W/${one}` })).status, 412)
  t.equal((await write(b, '2', { 'If-None-Match': `"a", ${one}` })).status, 412)
  t.equal((await write(b, '2', { 'If-Match': one, 'If-None-Match': one })).status, 412)
  const second = await write(b, '2', { 'If-Match': `"a", ${one}` })
  t.equal(second.status, 204)
  t.equal((await write(a, '3', { 'If-Match': one })).status, 412, 'not the entry in memory')
  t.equal((await write(a, '3', { 'If-None-Match': one })).status, 204)
  t.equal((await write(a, '4', { 'If-Match': '*' })).status, 204)
  const { etag = '' } = (await get(a, 'k')).headers
  const remove = (condition: Record<string, string>) => b.request('DELETE', at('k'), { headers: condition })
  t.equal((await remove({ 'If-Match': one })).status, 412)
  t.equal((await remove({ 'If-None-Match': '*' })).status, 412)
  t.equal((await remove({ 'If-None-Match': etag })).status, 412)
  t.strictSame(await rowsOf(query('select value from cache_entries')), [{ value: '4' }])
  t.equal((await remove({ 'If-Match': etag })).status, 204)
  t.equal((await remove({ 'If-Match': '*' })).status, 412)
  t.equal((await remove({ 'If-None-Match': '*' })).status, 404)
  t.equal((await write(a, '5', { 'If-Match': etag })).status, 412)
  t.equal((await write(a, '5', { 'If-None-Match': etag })).status, 201)
  await query(`update cache_entries set expires_at = now() - interval '1 s'`)
  t.equal((await write(a, '6', { 'If-Match': '*' })).status, 412)
  t.equal((await remove({ 'If-Match': '*' })).status, 412)
  t.equal((await write(a, '6', { 'If-None-Match': '*' })).status, 201)
})

t.test('a tag does not fit in another history, even if the version does', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  await put(client, 'k', '1')
  const { etag = '' } = (await get(client, 'k')).headers
  const [version, system, history] = etag.slice(1, -1).split('-') as [string, string, string]
  for (const foreign of [`${version}-${system}-0A0A0A0A`, `${version}-1${system}-${history}`]) {
    t.equal((await put(client, 'k', '2', { ...json, 'If-Match': `"${foreign}"` })).status, 412)
    t.equal((await get(client, 'k', { 'If-None-Match': `"${foreign}"` })).status, 200)
    t.equal((await put(client, 'k', '1', { ...json, 'If-None-Match': `"${foreign}"` })).status, 204)
    await query('alter table cache_entries disable trigger all')
    await query('update cache_entries set version = $1', [version])
    await query('alter table cache_entries enable trigger all')
  }
})

t.test('a tag that was given out remains valid after a restart of the sidecar', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client, sidecar } = await startLiveSidecar(t, { databaseUrl: url })
  const { etag = '' } = (await put(client, 'k', '1')).headers
  await sidecar.close()
  const next = (await startLiveSidecar(t, { databaseUrl: url })).client
  t.equal((await put(next, 'k', '2', { ...json, 'If-Match': etag })).status, 204)
})

t.test('max-age is the time to live of the entry, and what remains of it comes back', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  const other = (await startLiveSidecar(t, { databaseUrl: url })).client
  const seconds = async () => {
    const { rows } = await query<{ seconds: number | null }>(
      'select extract(epoch from expires_at - now())::float8 as seconds from cache_entries',
    )
    return rows[0]?.seconds ?? null
  }
  for (const directive of ['max-age=60', 'no-transform, Max-Age = "60"', 'public,max-age=60,foo=1']) {
    for (const condition of [{}, { 'If-None-Match': '*' }, { 'If-Match': '*' }]) {
      const written = await put(client, 'k', '1', { ...json, 'Cache-Control': directive, ...condition })
      t.ok(written.status < 300 || 'If-None-Match' in condition, directive)
      const remaining = Number(await seconds())
      t.ok(remaining > 50 && remaining <= 60, `${remaining}`)
    }
    for (const one of [client, other]) {
      for (const read of [await get(one, 'k'), await held(one, 'k')]) {
        const [, given] = /^max-age=(\d+)$/.exec(String(read.headers['cache-control'])) ?? []
        const left = Number(given) - Number(read.headers.age)
        t.ok(left >= 50 && left <= Number(await seconds()), `${left}`)
      }
      t.match(await get(one, 'k', { 'If-None-Match': '*' }), {
        status: 304,
        headers: { 'cache-control': /^max-age=/ },
      })
    }
    await client.delete('k')
  }
  await put(client, 'k', '1', { ...json, 'Cache-Control': 'max-age=60' })
  t.equal((await put(client, 'k', '2')).status, 204)
  t.equal(await seconds(), null, 'a write without max-age ends the expiry')
  t.notOk('cache-control' in (await held(client, 'k')).headers)
  for (const bad of [
    'max-age',
    'max-age=',
    'max-age=-1',
    'max-age=1.5',
    'max-age=0',
    'max-age=a',
    'max-age=1,max-age=2',
  ])
    t.match(await put(client, 'k', '3', { ...json, 'Cache-Control': bad }), {
      status: 422,
      body: { detail: /^Cache-Control: max-age: / },
    })
  t.equal((await put(client, 'k', '3', { ...json, 'Cache-Control': 'max-age=1' })).status, 204)
  await eventually(async () => (await get(client, 'k')).status === 404)
  t.equal((await client.request('DELETE', at('k'))).status, 404)
  t.equal((await client.stats()).feed.state, 'live')
})

t.test('with CACHE_REQUIRE_CONDITIONS, a write of an entry needs a condition', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, requiresConditions: true })
  t.match(await put(client, 'k', '1'), { status: 428, body: { detail: /^If-Match or If-None-Match: / } })
  t.equal((await client.request('DELETE', at('k'))).status, 428)
  t.equal((await put(client, 'k', '1', { ...json, 'If-None-Match': '*' })).status, 201)
  t.equal((await client.request('DELETE', at('k'), { headers: { 'If-Match': '*' } })).status, 204)
  t.equal((await client.set('k', 1)).status, 200)
  t.equal((await client.delete('k')).status, 200)
})

t.test('bad requests name what is wrong', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client, sidecar } = await startLiveSidecar(t, { databaseUrl: url, maxValueBytes: 1_000 })
  const bad: readonly [number, RegExp, string | Buffer, Record<string, string>][] = [
    [422, /^body: not valid JSON/, '{', json],
    [422, /^body: not valid JSON/, '', json],
    [422, /^body: not valid JSON/, Buffer.from([0x22, 0xff, 0x22]), json],
    [422, /^value: must not be null/, ' null ', json],
    [422, /^value: must not contain U\+0000/, '["\\u0000"]', json],
    [
      422,
      /^value: contains a number too large/,
      '1e999',
      { 'Content-Type': 'application/json; charset=utf-8' },
    ],
    [422, /^Content-Type: not a media type/, 'a', { 'Content-Type': 'text' }],
    [422, /^Content-Type: not a media type/, 'a', { 'Content-Type': 'text/plain;base64' }],
    [422, /^Content-Type: not a media type/, 'a', { 'Content-Type': 'text/plain; ;base64' }],
    [422, /^Content-Type: longer than/, 'a', { 'Content-Type': `text/${'a'.repeat(240)}` }],
    [415, /^Content-Encoding: /, 'a', { ...text, 'Content-Encoding': 'gzip' }],
    [400, /^Content-Range: /, 'a', { ...text, 'Content-Range': 'bytes 0-0/1' }],
    [413, /^body: larger than 1000 bytes/, 'x'.repeat(1_001), text],
  ]
  for (const [status, detail, raw, headers] of bad)
    t.match(await put(client, 'k', raw, headers), { status, body: { status, detail } }, String(detail))
  t.equal((await get(client, 'k')).status, 404)
  t.equal((await put(client, 'k', 'x'.repeat(1_000), text)).status, 201)
  t.equal((await get(client, 'k', { Range: 'bytes=0-1' })).text.length, 1_000, 'Range is ignored')
  t.equal((await get(client, 'k', { Accept: 'image/png' })).status, 200, 'Accept is ignored')
  t.match(await client.request('GET', `${at('k')}?consistancy=strong`), {
    status: 422,
    body: { detail: 'consistancy: unknown parameter; did you mean consistency?' },
  })
  t.equal((await client.request('GET', `${at('k')}?token=a`)).status, 422)
  for (const method of ['POST', 'PATCH']) {
    const refused = await client.request(method, at('k'))
    t.match(refused, { status: 405, headers: { allow: 'HEAD, GET, PUT, DELETE' } })
  }
  const expecting =
    'PUT /v1/entries/e HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n'
  t.match(
    await exchange(sidecar.port, `${expecting}Expect: 100-continue\r\nConnection: close\r\n\r\nx`),
    /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 201 Created\r\n/,
  )
})

t.test('a read with a token is as new as the write that returned it', async (t) => {
  const { url } = await cacheDatabase(t)
  const a = (await startLiveSidecar(t, { databaseUrl: url })).client
  const b = (await startLiveSidecar(t, { databaseUrl: url })).client
  for (let n = 0; n < 20; n++) {
    const { headers } = await put(a, 'k', String(n))
    const token = String(headers['cache-token'])
    t.equal((await get(b, 'k', { 'Cache-Token': token })).text, String(n))
    t.equal((await b.request('GET', `${at('k')}?token=${token}`)).text, String(n))
  }
})

t.test('only-if-cached is answered from memory, or with 504', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  t.equal((await get(client, 'k', { 'Cache-Control': 'only-if-cached' })).status, 504)
  await put(client, 'k', '1')
  await held(client, 'k')
  t.equal((await get(client, 'k', { 'Cache-Control': 'only-if-cached' })).text, '1')
})

t.test('an ETag is given only to bytes that come back as they were sent', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  t.ok('etag' in (await put(client, 'k', '"a"')).headers)
  t.notOk('etag' in (await put(client, 'k', ' "\\u0061"')).headers, 'a string is stored as its text')
  t.equal((await get(client, 'k')).text, '"a"')
  await query(`create function doubled() returns trigger language plpgsql as
    $$ begin new.value := new.value || new.value; return new; end $$`)
  await query(
    `create trigger doubled before insert or update on cache_entries for each row execute function doubled()`,
  )
  const altered = await put(client, 'k', '1')
  t.match(altered, { status: 204 })
  t.notOk('etag' in altered.headers)
  t.equal((await client.request('GET', `${at('k')}?consistency=strong`)).text, '11')
})
