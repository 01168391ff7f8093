import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { Cache } from '../../../src/core/cache.js'
import { fastLane } from '../../../src/http/fast-lane/fast-lane.js'
import { RequestBodies } from '../../../src/http/server/request-bodies.js'
import { UnreadResponses } from '../../../src/http/server/unread-responses.js'
import { RequestStats } from '../../../src/telemetry/request-stats.js'
import { cacheDatabase } from '../../support/database.js'
import { exchange } from '../../support/raw-http.js'
import { startLiveSidecar, startSidecar } from '../../support/sidecar.js'

const { url, query } = await cacheDatabase(t)
const expiring = await startLiveSidecar(t, { databaseUrl: url })
const lasting = await startLiveSidecar(t, { databaseUrl: url, ttlSeconds: 0 })

const long = 'é'.repeat(512)
const held: Readonly<Record<string, unknown>> = {
  foo: 'bar',
  'a b+c%20&key=d': { any: ['JSON', null, 1.5] },
  '"\\/?#;\n\t': 'quotes " and \\ and \u2028',
  '😀 漢字': '👩‍👩‍👧 ß',
  [long]: 1,
  // Unchanged, they request something else.
  'foo&': 'not foo',
  'foo&key=foo': 'not foo',
  'foo#fragment': 'not foo',
  'a+b': 'not a b',
  false: false,
  large: 'x'.repeat(100_000),
}
for (const { client } of [expiring, lasting]) {
  for (const [key, value] of Object.entries(held)) {
    await client.set(key, value)
    await client.held(key)
  }
}

interface Request {
  readonly line: string
  readonly headers?: readonly string[]
  readonly body?: string
}

/** A header without effect. The fast lane does not know that, and leaves the request to Koa. */
const around = 'Cache-Control: bounded'

/** Returns the text of the request, followed by a request that closes the connection if the first one would keep it. */
function textOf({ line, headers = [], body = '' }: Request, more: readonly string[] = []): string {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body, 'latin1')}`]
  const isKept = headers.includes('Connection: keep-alive') || !/HTTP\/1\.0|close/.test(`${line} ${headers}`)
  const last = isKept ? 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' : ''
  return [line, 'Host: localhost', ...headers, ...more, ...length, '', body + last].join('\r\n')
}

/** Checks that a request gets the same response through the fast lane and around it. */
async function isSame(port: number, request: Request): Promise<[string, string]> {
  // One after the other: together, two misses would be one fill.
  const both = async (): Promise<[string, string]> => [
    withoutWhatDiffers(await exchange(port, textOf(request))),
    withoutWhatDiffers(await exchange(port, textOf(request, [around]))),
  ]
  return untilSame(both)
}

/** A second may have begun between the two, and Age and ttl count in seconds. So a difference counts if it stays. */
async function untilSame(both: () => Promise<[string, string]>): Promise<[string, string]> {
  for (let attempt = 1; attempt < 10; attempt++) {
    const [lane, koa] = await both()
    if (lane === koa) return [lane, koa]
  }
  return both()
}

/** Every write has a token of its own, and every look at the statistics finds others. */
function withoutWhatDiffers(answer: string): string {
  return answer
    .replace(/^Date: .*$/gm, 'Date:')
    .replace(/(cache-token: |"token":")[\w.-]+/gi, '$1')
    .replace(/("lease_age_ms"|"hits"|"misses"|"absent"|"changes_applied"|"revalidations"):\d+/g, '$1')
}

async function same(t: Test, request: Request, wanted?: RegExp): Promise<void> {
  for (const { sidecar } of [expiring, lasting]) {
    const [lane, koa] = await isSame(sidecar.port, request)
    t.equal(lane, koa, request.line.slice(0, 80))
    if (wanted) t.match(lane, wanted)
  }
}

t.test('hits', async (t) => {
  for (const key of Object.keys(held)) {
    const [form] = new URLSearchParams({ key }).toString().split('&')
    for (const query of [`key=${encodeURIComponent(key)}`, form])
      await same(t, { line: `GET /cache/get?${query} HTTP/1.1` }, /^HTTP\/1\.1 200 .*hit/s)
  }
  const encoded = [...Buffer.from('foo')].map((byte) => `%${byte.toString(16)}`).join('')
  await same(t, { line: `GET /cache/get?key=${encoded} HTTP/1.1` }, /^HTTP\/1\.1 200 .*"bar"/s)
})

t.test('hits of entries', async (t) => {
  const typed: readonly (readonly [key: string, type: string, body: Buffer])[] = [
    ['text', 'text/plain; charset=utf-8', Buffer.from('h\u00e9 "\n"')],
    ['html', 'text/html', Buffer.from('<p>')],
    ['empty', 'text/plain', Buffer.alloc(0)],
    ['binary', 'image/png', Buffer.from([0, 255, 13, 10])],
    ['typed', 'application/json; a=b', Buffer.from('"h\u00e9"')],
  ]
  for (const { client } of [expiring, lasting]) {
    for (const [key, type, body] of typed) {
      await client.request('PUT', `/v1/entries/${key}`, { raw: body, headers: { 'Content-Type': type } })
      await client.held(key)
    }
  }
  for (const key of [...Object.keys(held), ...typed.map(([key]) => key)]) {
    for (const method of ['GET', 'HEAD']) {
      const line = `${method} /v1/entries/${encodeURIComponent(key)} HTTP/1.1`
      await same(t, { line }, /^HTTP\/1\.1 200 .*hit.*ETag: "/s)
      await same(t, { line, headers: ['Connection: close'] }, /^HTTP\/1\.1 200 /)
      await same(t, { line, headers: ['Accept: image/png', 'Range: bytes=0-1'] }, /^HTTP\/1\.1 200 /)
    }
  }
  const { headers } = await expiring.client.request('GET', '/v1/entries/foo')
  for (const tag of ['*', '"a"', String(headers.etag)])
    for (const name of ['If-Match', 'If-None-Match'])
      await same(t, { line: 'GET /v1/entries/foo HTTP/1.1', headers: [`${name}: ${tag}`] }, /^HTTP\/1\.1 /)
  const lines: readonly (readonly [line: string, wanted: RegExp])[] = [
    ['GET /v1/entries/foo? HTTP/1.1', / 200 /],
    ['GET /v1/entries/foo?consistency=strong HTTP/1.1', /fwd=request/],
    ['GET /v1/entries/%66oo HTTP/1.1', / 200 /],
    ['GET /v1/entries/absent HTTP/1.1', / 404 /],
    ['GET /v1/entries/ HTTP/1.1', / 422 /],
    ['GET /v1/entries/%zz HTTP/1.1', / 422 /],
    ['GET /v1/entries/%00 HTTP/1.1', / 422 /],
    ['GET http://localhost/v1/entries/foo HTTP/1.1', / 200 /],
    ['GET /v1/entries/foo HTTP/1.0', / 200 /],
    ['HEAD /v1/entries/foo HTTP/1.0', / 200 /],
    ['POST /v1/entries/foo HTTP/1.1', / 405 /],
    ['GET /v1/entries/h\u00e9 HTTP/1.1', / 400 /],
  ]
  for (const [line, wanted] of lines) await same(t, { line }, wanted)
})

t.test('hits of keys that do not exist', async (t) => {
  for (const key of ['none', '%C3%A9', 'not+here'])
    await same(t, { line: `GET /cache/get?key=${key} HTTP/1.1` }, /^HTTP\/1\.1 404 .*caching-layer; hit/s)
})

t.test('requests that are not plain hits are answered the same by both lanes', async (t) => {
  const hash = Buffer.from(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(long))).toString(
    'hex',
  )
  const lines: readonly (readonly [line: string, wanted: RegExp])[] = [
    ['GET /cache/get?key=absent HTTP/1.1', / 404 /],
    ['GET /cache/get?key= HTTP/1.1', / 422 /],
    ['GET /cache/get?key HTTP/1.1', / 422 /],
    ['GET /cache/get HTTP/1.1', / 422 /],
    [`GET /cache/get?key=%00${hash} HTTP/1.1`, / 422 /],
    ['GET /cache/get?key=foo%00 HTTP/1.1', / 422 /],
    ['GET /cache/get?key=foo%ff HTTP/1.1', / 422 /],
    ['GET /cache/get?key=foo% HTTP/1.1', / 422 /],
    ['GET /cache/get?key=foo&key=foo HTTP/1.1', / 422 /],
    ['GET /cache/get?key=foo& HTTP/1.1', /"bar"/],
    ['GET /cache/get?key=foo&consistency=strong HTTP/1.1', /fwd=request/],
    ['GET /cache/get?key=foo&consistency=nonsense HTTP/1.1', / 422 /],
    ['GET /cache/get?key=foo&token=nonsense HTTP/1.1', / 422 /],
    ['GET /cache/get?other=1&key=foo HTTP/1.1', / 200 /],
    ['GET /cache/get?key=foo#fragment HTTP/1.1', /"bar"/],
    ['GET /cache/get?key=foo=bar HTTP/1.1', / 404 /],
    ['GET /cache/get?key=a+b HTTP/1.1', / 404 /],
    ['GET /cache/get?key=foo?key=bar HTTP/1.1', / 404 /],
    ['GET /cache/get?Key=foo HTTP/1.1', / 422 /],
    ['GET /cache/get/?key=foo HTTP/1.1', / 404 /],
    ['GET //cache/get?key=foo HTTP/1.1', / 404 /],
    ['GET /cache/getx?key=foo HTTP/1.1', / 404 /],
    ['GET http://localhost/cache/get?key=foo HTTP/1.1', / 200 /],
    ['GET /cache/get?key=foo\xff HTTP/1.1', / 400 /],
    ['GET /cache/get?key=foo HTTP/1.0', /Connection: close\r\n/],
    ['HEAD /cache/get?key=foo HTTP/1.1', / 200 /],
    ['OPTIONS /cache/get?key=foo HTTP/1.1', / 200 /],
    ['DELETE /cache/get?key=foo HTTP/1.1', / 405 /],
    ['POST /cache/get?key=foo HTTP/1.1', / 405 /],
    ['PROPFIND /cache/get?key=foo HTTP/1.1', / 501 /],
    ['get /cache/get?key=foo HTTP/1.1', / 400 /],
    ['GET / HTTP/1.1', / 200 /],
    ['GET /health HTTP/1.1', / 200 /],
    ['GET /cache/stats HTTP/1.1', / 200 /],
  ]
  for (const [line, wanted] of lines) await same(t, { line }, wanted)
  await same(t, { line: 'GET /cache/get?key=foo HTTP/1.1', body: 'a body' }, / 200 /)
  for (const connection of ['close', 'keep-alive']) {
    const headers = [`Connection: ${connection}`]
    await same(t, { line: 'GET /cache/get?key=foo HTTP/1.1', headers }, / 200 /)
    await same(t, { line: 'GET /cache/get?key=absent HTTP/1.0', headers }, / 404 /)
  }
  await same(t, { line: 'POST /cache/set HTTP/1.1', body: '{"key":"written","value":1}' }, / 200 /)
  await same(t, { line: 'DELETE /cache/delete?key=absent HTTP/1.1' }, / 200 /)
})

t.test('every request of the original service', async (t) => {
  const facts = await readFile(new URL('../contract/responses.json', import.meta.url), 'utf8')
  const { exchanges } = JSON.parse(facts) as { exchanges: { request: string; body?: unknown }[] }
  for (const { request, body } of exchanges) {
    await same(t, {
      line: `${request} HTTP/1.1`,
      headers: body === undefined ? [] : ['Content-Type: application/json'],
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  }
  // Their writes have gone to another sidecar's memory, too.
  for (const { client } of [expiring, lasting]) await client.set('foo', 'bar')
})

t.test('headers that change the meaning are recognised in any case', async (t) => {
  const line = 'GET /cache/get?key=foo HTTP/1.1'
  for (const [header, wanted] of [
    ['cache-control: no-cache', /fwd=request/],
    ['CACHE-CONTROL: No-Cache', /fwd=request/],
    ['cache-token: nonsense', / 422 /],
    ['Cache-Token: nonsense', / 422 /],
    ['traceparent: 00-1', /; hit/],
    ['Authorization: x', /; hit/],
  ] as const) {
    for (const { sidecar } of [expiring, lasting]) {
      t.match(
        await exchange(sidecar.port, textOf({ line, headers: ['A: b', header, 'C: d'] })),
        wanted,
        header,
      )
    }
  }
})

t.test('any query', async (t) => {
  const parts = [
    'key=',
    'foo',
    'f%6Fo',
    '%',
    '%2',
    '+',
    '&',
    '#',
    '=',
    '?',
    '%00',
    '%26',
    'token=',
    '%F0%9F%98%80',
  ]
  const pieces = fc.array(fc.constantFrom(...parts), { maxLength: 6 })
  const outcome = await fc.check(
    fc.asyncProperty(pieces, async (chosen) => {
      const [lane, koa] = await isSame(lasting.sidecar.port, {
        line: `GET /cache/get?key=${chosen.join('')} HTTP/1.1`,
      })
      if (lane !== koa) throw new Error(`${lane}\n\n${koa}`)
    }),
    { numRuns: 200 },
  )
  t.notOk(outcome.failed, fc.defaultReportMessage(outcome) ?? `seed ${outcome.seed}`)
})

t.test('misses', async (t) => {
  const { port } = lasting.sidecar
  // One key each, because the first answer puts the entry.
  const [lane, koa] = await Promise.all(
    ['1', '2'].map(async (n) => {
      await query('insert into cache_entries (key, value) values ($1, $2)', [`miss ${n}`, 'from SQL'])
      const line = `GET /cache/get?key=miss+${n} HTTP/1.1`
      return (await exchange(port, textOf({ line }, n === '1' ? [] : [around]))).replace(`miss ${n}`, 'miss')
    }),
  )
  t.match(lane, /; fwd=miss; stored\r\n.*"value":"from SQL","source":"db"/s)
  t.equal(withoutWhatDiffers(lane ?? ''), withoutWhatDiffers(koa ?? ''))
})

t.test('misses without a database', async (t) => {
  const away = await startSidecar(t, { databaseUrl: 'postgresql://nobody@127.0.0.1:1/nothing' })
  const request = { line: 'GET /cache/get?key=foo HTTP/1.1' }
  const [lane, koa] = await isSame(away.sidecar.port, request)
  t.match(lane, /^HTTP\/1\.1 503 .*\r\nRetry-After: 1\r\nContent-Type: application\/problem\+json/s)
  t.equal(lane, koa)
  t.match(away.log.join(''), /"level":20.*The database cannot be reached/)
})

/** Koa's way to read the same body. */
const json = ['Content-Type: application/json', 'Content-Type: application/json; charset=utf-8'] as const

async function setBothWays(port: number, body: string): Promise<[string, string]> {
  const both = async (): Promise<[string, string]> => {
    const [lane, koa] = await Promise.all(
      json.map((type) => exchange(port, textOf({ line: 'POST /cache/set HTTP/1.1', headers: [type], body }))),
    )
    return [withoutWhatDiffers(lane ?? ''), withoutWhatDiffers(koa ?? '')]
  }
  return untilSame(both)
}

/** Returns the text as `exchange` sends it: byte by byte. */
const bytesOf = (text: string) => Buffer.from(text).toString('latin1')

t.test('sets', async (t) => {
  const written = / 200 OK\r\n.*Cache-Token: .*"db_written":true,"token":"/s
  const bodies: readonly (readonly [body: string, wanted: RegExp])[] = [
    ['{"key":"set","value":"bar"}', written],
    ['{"key":"set","value":{"any":["JSON",null,1.5]}}', written],
    [' { "value" : [ 1.10 ,12345678901234567890 ] , "k\\u0065y" : "set" } ', written],
    [
      '{"key":"set","value":1,"ttl":30}',
      / 422 .*ttl: unknown member; a set has key, value, ttl_seconds and groups/s,
    ],
    ['{"key":"set","Valeu":1}', / 422 .*Valeu: unknown member; did you mean value\?/s],
    [bytesOf('\ufeff{"key":"漢字 😀","value":"ß"}'), written],
    ['{"key":"\\u0041\\n","value":"\\ud83d\\ude00"}', written],
    [`{"key":"set","value":"${'x'.repeat(200_000)}"}`, written],
    ['{"key":"set","value":1e400}', / 422 .*number too large/s],
    ['{"key":"set","value":"\\u0000"}', / 422 .*U\+0000/s],
    ['{"key":"set","value":"\\ud800"}', / 422 .*surrogate/s],
    ['{"key":"set","value":null}', / 422 .*value: must not be null/s],
    ['{"key":"set","value":1,"ttl_seconds":0}', / 422 .*ttl_seconds: must be a number/s],
    ['{"key":"set"}', / 422 .*value: missing/s],
    ['{"key":"","value":1}', / 422 .*key: must not be empty/s],
    ['{"key":1,"value":1}', / 422 .*key: must be a string/s],
    ['{"value":1}', / 422 .*key: missing/s],
    ['[]', / 422 .*must be a JSON object/s],
    ['{"key":"set","value":"\xff"}', / 422 .*not valid JSON in UTF-8/s],
    ['{"key":"set"', / 422 .*not valid JSON/s],
    [`{"key":"set","value":"${'x'.repeat(1024 * 1024)}"}`, / 413 /],
  ]
  for (const [body, wanted] of bodies) {
    const [lane, koa] = await setBothWays(lasting.sidecar.port, body)
    t.match(lane, wanted, body.slice(0, 60))
    t.equal(lane, koa, body.slice(0, 60))
  }
  t.equal((await lasting.client.get('A\n')).body.value, '😀')
})

t.test('sets in pieces, or with other body headers, are answered the same', async (t) => {
  const { port } = lasting.sidecar
  const body = '{"key":"in pieces","value":"bar"}'
  const socket = connect(port, '127.0.0.1').setNoDelay()
  const answer = text(socket)
  const pieces =
    textOf({ line: 'POST /cache/set HTTP/1.1', headers: [json[0]], body }).match(/.{1,40}/gs) ?? []
  for (const piece of pieces) {
    socket.write(piece)
    await new Promise(setImmediate)
  }
  t.match(await answer, /^HTTP\/1\.1 200 .*"db_written":true/s)
  const chunked = `21\r\n${body}\r\n0\r\n\r\n`
  for (const [headers, sent, wanted] of [
    [[json[0], 'Transfer-Encoding: chunked'], chunked, /^HTTP\/1\.1 200 /],
    [[json[1], `Content-Length: ${body.length}`], body, /^HTTP\/1\.1 200 /],
    [[json[0], json[1], `Content-Length: ${body.length}`], body, /^HTTP\/1\.1 400 /],
    [[json[0], 'If-Match: *', `Content-Length: ${body.length}`], body, /^HTTP\/1\.1 422 /],
    [
      [json[0], `Content-Length: ${body.length}`, 'Expect: 100-continue'],
      body,
      /100 Continue\r\n\r\nHTTP\/1\.1 200 /,
    ],
    [['Content-Type: text/plain', `Content-Length: ${body.length}`], body, /^HTTP\/1\.1 415 /],
    [[json[0], 'Content-Length: 5', 'Content-Length: 6'], body, /^HTTP\/1\.1 400 /],
    [
      [json[0], `Content-Length: ${body.length}`, 'Connection: close'],
      body,
      /^HTTP\/1\.1 200 .*Connection: close/s,
    ],
  ] as const) {
    const head = ['POST /cache/set HTTP/1.1', 'Host: localhost', ...headers, '', ''].join('\r\n')
    const last = 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
    const isLast = headers.some((header) => header === 'Connection: close')
    t.match(await exchange(port, head + sent + (isLast ? '' : last)), wanted, headers.join())
  }
})

t.test('two sets that only Node can answer are answered by it', async (t) => {
  const { port } = lasting.sidecar
  const body = '{"key":"two","value":1}'
  const set = (connection: string) =>
    `POST /cache/set HTTP/1.1\r\nHost: localhost\r\n${json[0]}\r\nContent-Length: ${body.length}\r\n${connection}\r\n${body}`
  const answer = await exchange(port, `${set('')}${set('Connection: close\r\n')}`)
  t.same(answer.match(/Content-Length: \d+/g)?.length, 2)
  t.match(answer, /^HTTP\/1\.1 200 .*HTTP\/1\.1 200 .*Connection: close/s)
})

t.test('a client that disconnects during its set writes nothing', async (t) => {
  const { sidecar, client } = lasting
  const socket = connect(sidecar.port, '127.0.0.1')
  socket.write(`POST /cache/set HTTP/1.1\r\nHost: localhost\r\n${json[0]}\r\nContent-Length: 99\r\n\r\n`)
  socket.end('{"key":"gone","value":1}')
  await once(socket.resume(), 'close')
  t.equal((await client.get('gone')).status, 404)
})

t.test('many requests sent before any response is read are answered in order', async (t) => {
  const { port } = lasting.sidecar
  // Far more than the buffers of a socket hold, so that Node has to make the client wait in between.
  const targets = Array.from(
    { length: 200 },
    (_, n) =>
      ['/cache/get?key=foo', '/cache/get?key=large', `/cache/get?key=absent${n}`, '/cache/stats'][n % 4],
  )
  const socket = connect(port, '127.0.0.1')
  socket.setEncoding('latin1').pause()
  for (const target of targets) socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  await once(socket, 'connect')
  const answers = (await text(socket)).split('HTTP/1.1 ').slice(1)
  t.equal(answers.length, 201)
  answers.forEach((answer, n) => {
    const wanted = [/"key":"foo"/, /"key":"large","value":"x{100000}"/, /Key not found/, /"capacity"/][n % 4]
    t.match(answer, n === 200 ? /"status":"ok"/ : wanted)
  })
})

t.test('plain reads and sets do not reach Koa, and everything else does', async (t) => {
  const asked: (string | undefined)[] = []
  const logged: string[] = []
  const cache = {
    hit: (key: string) =>
      key === 'hit'
        ? {
            key,
            value: '"bar"',
            bytes: 8,
            asOfMs: 0,
            expiresAtMs: 60_000,
            rowExpiresAtMs: Number.POSITIVE_INFINITY,
          }
        : undefined,
    get: async (key: string) => {
      if (key === 'bug') throw new Error('a bug of ours')
      return { value: undefined, forwarded: 'miss', ageMs: 0 }
    },
    set: async (key: string) => {
      if (key === 'bug') throw new Error('a bug of ours')
      return { written: false }
    },
  } as unknown as Cache
  const lane = fastLane({
    cache,
    clock: { now: () => 1_500, defer: setImmediate },
    requests: new RequestStats(),
    maxValueBytes: 100,
    responses: new UnreadResponses(1_000_000),
    bodies: new RequestBodies(1_000_000),
    log: { debug: () => undefined, error: (_fields, message) => logged.push(message) },
    otherwise: (request, response) => {
      if (request.url !== '/health') asked.push(request.url)
      response.end()
    },
  })
  const taken: IncomingMessage[] = []
  const server = createServer((request, response) => {
    if (request.url !== '/health') taken.push(request)
    lane(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const get = (target: string) => exchange(port, textOf({ line: `GET ${target} HTTP/1.1` }))
  t.match(await get('/v1/entries/hit'), /ETag: .*\r\n\r\n"bar"HTTP\/1\.1 200/s)
  const hit = await get('/cache/get?key=hit')
  t.match(hit, /Cache-Status: caching-layer; hit; ttl=58\r\nAge: 1\r\n/)
  t.match(hit, /\r\n\r\n\{"key":"hit","value":"bar","source":"cache"\}HTTP\/1\.1 200/)
  t.match(await get('/cache/get?key=miss'), /^HTTP\/1\.1 404 .*Cache-Status: caching-layer; fwd=miss\r\n/s)
  t.match(await get('/cache/get?key=bug'), /^HTTP\/1\.1 500 .*"detail":"Internal Server Error"/s)
  const set = (key: string, value: string) =>
    exchange(
      port,
      textOf({
        line: 'POST /cache/set HTTP/1.1',
        // Of the same lengths as the names of headers that only Koa understands.
        headers: [
          json[0],
          'X-Request-Id: 1',
          'X-Request-Hash: 2',
          'X-Correlation-Id: 3',
          'X-Correlation-Ids: 4',
        ],
        body: JSON.stringify({ key, value }),
      }),
    )
  t.match(
    await set('away', 'bar'),
    /^HTTP\/1\.1 200 OK\r\n.*Content-Type: .*\{"ok":true,"db_written":false\}/s,
  )
  t.match(await set('bug', 'bar'), /^HTTP\/1\.1 500 .*"detail":"Internal Server Error"/s)
  t.same(logged, ['Internal Server Error', 'Internal Server Error'])
  t.same(asked, [])
  t.equal(taken.length, 6)
  for (const { url, readableFlowing } of taken)
    t.equal(readableFlowing, null, `${url}: its stream has not begun`)
  await set('large', 'x'.repeat(100))
  t.same(asked.splice(0), ['/cache/set'])
  for (const target of ['/cache/get?key=', '/cache/get?key=hit&token=', '/']) await get(target)
  t.same(asked, ['/cache/get?key=', '/cache/get?key=hit&token=', '/'])
})
