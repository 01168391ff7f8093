import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { cacheDatabase } from '../../support/database.js'
import type { Answer, Sending } from '../../support/json-client.js'
import { reset } from '../../support/reset.js'
import { startLiveSidecar } from '../../support/sidecar.js'

/** Password in the URL of the database, which must appear nowhere. */
const password = 'open-sesame-4711'

const maxValueBytes = 64 * 1024

const { url } = await cacheDatabase(t)
const databaseUrl = Object.assign(new URL(url), { password }).href
// A probe that is late on a busy machine would be a loss of the change feed, of which the log warns.
const patience = { maxStalenessMs: 120_000, databaseTimeoutMs: 60_000 }
const { client, log } = await startLiveSidecar(t, { databaseUrl, maxValueBytes, ...patience })
/** Everything that the sidecar answered. */
const answers: string[] = []

async function send(method: string, path: string, sending?: Sending): Promise<Answer> {
  const answer = await client.request(method, path, sending)
  answers.push(JSON.stringify(answer.headers), answer.text)
  return answer
}

function isProblem(t: Test, { status, headers, body }: Answer, wanted: number, detail: RegExp): void {
  t.equal(status, wanted)
  t.match(headers['content-type'], /^application\/problem\+json/)
  t.match(body, { status: wanted, title: String, type: String, detail })
}

t.test('unknown routes are answered with 404', async (t) => {
  const paths = [
    '/nope',
    '/cache',
    '/cache/',
    '/cache/get/',
    '/cache/get/foo',
    '/health/',
    '//',
    '/%',
    '/%ff',
  ]
  for (const path of paths) isProblem(t, await send('GET', path), 404, /^Not Found$/)
  isProblem(t, await send('POST', '/nope', { body: {} }), 404, /^Not Found$/)
})

t.test('wrong methods are answered with 405', async (t) => {
  const routes: Readonly<Record<string, string>> = {
    '/': 'GET',
    '/health': 'GET',
    '/cache/get': 'GET',
    '/cache/stats': 'GET',
    '/cache/set': 'POST',
    '/cache/delete': 'DELETE',
  }
  for (const [path, right] of Object.entries(routes)) {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      if (method === right) continue
      const answer = await send(method, `${path}?key=foo`)
      isProblem(t, answer, 405, /^Method Not Allowed$/)
      t.ok(answer.headers.allow?.split(', ').includes(right), `${method} ${path} names ${right}`)
      t.notOk(answer.headers.allow?.split(', ').includes(method), `${method} ${path} does not name itself`)
    }
  }
  t.equal((await send('HEAD', '/health')).status, 200)
  isProblem(t, await send('PROPFIND', '/cache/get'), 501, /^Not Implemented$/)
})

t.test('keys in a query', async (t) => {
  const long = 'k'.repeat(1_024)
  const cases: readonly (readonly [query: string, detail: RegExp])[] = [
    ['', /^key: missing/],
    ['?', /^key: missing/],
    ['?other=1', /^key: missing/],
    ['?Key=1', /^Key: unknown parameter; did you mean key\?/],
    ['?key', /^key: must not be empty/],
    ['?key=', /^key: must not be empty/],
    ['?key=a&key=b', /^key: given more than once/],
    ['?key=a&key=a', /^key: given more than once/],
    ['?key=a&other=1&k%65y=b', /^key: given more than once/],
    [`?key=${long}k`, /^key: longer than 1024 bytes/],
    [`?key=${encodeURIComponent('é'.repeat(513))}`, /^key: longer than 1024 bytes/],
    ['?key=a%00b', /^key: .*U\+0000/],
    ['?key=%', /^key: /],
    ['?key=%ff', /^key: /],
    ['?key=%ED%A0%80', /^key: /],
  ]
  for (const [query, detail] of cases) {
    isProblem(t, await send('GET', `/cache/get${query}`), 422, detail)
    isProblem(t, await send('DELETE', `/cache/delete${query}`), 422, detail)
  }
  for (const query of [`?key=${long}`, `?key=${encodeURIComponent('é'.repeat(512))}`, '?a=%ff&key=foo&b']) {
    isProblem(t, await send('GET', `/cache/get${query}`), 404, /^Key not found$/)
  }
})

t.test('keys in a body', async (t) => {
  const keys: readonly (readonly [key: string, detail: RegExp])[] = [
    ['""', /^key: must not be empty/],
    ['null', /^key: must be a string/],
    ['1', /^key: must be a string/],
    ['true', /^key: must be a string/],
    ['["a"]', /^key: must be a string/],
    ['{"a":1}', /^key: must be a string/],
    [`"${'k'.repeat(1_025)}"`, /^key: longer than 1024 bytes/],
    [`"${'😀'.repeat(257)}"`, /^key: longer than 1024 bytes/],
    ['"a\\u0000b"', /^key: .*U\+0000/],
    ['"a\\ud800b"', /^key: .*surrogate/],
    ['"\\udc00\\ud800"', /^key: .*surrogate/],
  ]
  for (const [key, detail] of keys) {
    isProblem(t, await send('POST', '/cache/set', { raw: `{"key":${key},"value":1}` }), 422, detail)
  }
  isProblem(t, await send('POST', '/cache/set', { body: { value: 1 } }), 422, /^key: missing/)
  const inherited = { raw: '{"__proto__":{"key":"foo"},"value":1}' }
  isProblem(t, await send('POST', '/cache/set', inherited), 422, /^__proto__: unknown member/)
  t.equal((await send('POST', '/cache/set', { body: { key: 'k'.repeat(1_024), value: 1 } })).status, 200)
  t.equal((await send('POST', '/cache/set', { body: { key: '😀'.repeat(256), value: 1 } })).status, 200)
})

t.test('values', async (t) => {
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
  const values: readonly (readonly [value: string, detail: RegExp])[] = [
    ['null', /^value: must not be null/],
    ['"a\\u0000b"', /^value: .*U\+0000/],
    ['["x",{"y":["a\\u0000b"]}]', /^value: .*U\+0000/],
    ['{"a\\u0000b":1}', /^value: .*U\+0000/],
    ['"\\ud800"', /^value: .*surrogate/],
    ['[{"y":"\\udfff"}]', /^value: .*surrogate/],
    ['{"\\ud83d":1}', /^value: .*surrogate/],
    ['1e400', /^value: .*number/],
    ['[-1e400]', /^value: .*number/],
    [nested(1_000), /^value: nested/],
    [nested(30_000), /^value: nested/],
    [`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`, /^value: nested/],
  ]
  for (const [value, detail] of values) {
    isProblem(t, await send('POST', '/cache/set', { raw: `{"key":"foo","value":${value}}` }), 422, detail)
  }
  isProblem(t, await send('POST', '/cache/set', { body: { key: 'foo' } }), 422, /^value: missing/)
  isProblem(t, await send('GET', '/cache/get?key=foo'), 404, /^Key not found$/)
})

t.test('a member that is given twice is refused', async (t) => {
  for (const body of ['{"key":"a","key":"b","value":1}', '{"key":"a","value":1,"\\u0076alue":"2"}'])
    isProblem(t, await send('POST', '/cache/set', { raw: body }), 422, /^(key|value): given more than once$/)
})

t.test('unknown members and parameters are refused', async (t) => {
  for (const [member, detail] of [
    ['"ttl":30', /^ttl: unknown member; a set has key, value, ttl_seconds and groups$/],
    ['"if_absent":true', /^if_absent: unknown member/],
    ['"Key":"b"', /^Key: unknown member; did you mean key\?$/],
    ['"valeu":1', /^valeu: unknown member; did you mean value\?$/],
    ['"":1', /^: unknown member/],
    ['"\\ud800":1', /unknown member/],
    [`"${'x'.repeat(10_000)}":1`, /^x{64}\.\.\.: unknown member/],
  ] as const) {
    for (const type of ['application/json', 'application/json; charset=utf-8'])
      isProblem(
        t,
        await send('POST', '/cache/set', {
          raw: `{"key":"foo","value":1,${member}}`,
          headers: { 'Content-Type': type },
        }),
        422,
        detail,
      )
  }
  for (const [parameter, detail] of [
    ['consistancy=strong', /^consistancy: unknown parameter; did you mean consistency\?$/],
    ['Consistency=strong', /did you mean consistency/],
    ['consistency%20=strong', /did you mean consistency/],
    ['tokn=a', /did you mean token/],
    ['keys=a', /did you mean key/],
  ] as const)
    isProblem(t, await send('GET', `/cache/get?key=foo&${parameter}`), 422, detail)
  isProblem(t, await send('DELETE', '/cache/delete?ke=foo'), 422, /did you mean key/)
  for (const parameter of [
    'utm_source=a',
    '_=1',
    'v=1',
    `${'k'.repeat(2_000)}=1`,
    'cache_buster=token',
    'open=1',
  ])
    isProblem(t, await send('GET', `/cache/get?key=foo&${parameter}`), 404, /^Key not found$/)
})

t.test('bodies', async (t) => {
  const bodies: readonly (string | Buffer)[] = [
    '',
    ' ',
    'key=foo&value=bar',
    '{"key":"foo","value":1',
    '{"key":"foo","value":1}}',
    "{'key':'foo'}",
    '[]',
    '[{"key":"foo","value":1}]',
    '"foo"',
    '1',
    'null',
    'NaN',
    Buffer.from('{"key":"foo","value":"\xff"}', 'latin1'),
    Buffer.from([0xed, 0xa0, 0x80]),
    Buffer.from([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]),
    Buffer.alloc(1_000),
  ]
  for (const raw of bodies) isProblem(t, await send('POST', '/cache/set', { raw }), 422, /^body: /)
  isProblem(t, await send('POST', '/cache/set'), 422, /^body: /)
  for (const coding of ['gzip', 'br', 'identity, gzip', 'gzip'.padEnd(10_000)]) {
    const compressed = { body: { key: 'foo', value: 1 }, headers: { 'Content-Encoding': coding } }
    isProblem(t, await send('POST', '/cache/set', compressed), 415, /^Content-Encoding: /)
  }
  const plain = { body: { key: 'plain', value: 1 }, headers: { 'Content-Encoding': 'Identity' } }
  t.equal((await send('POST', '/cache/set', plain)).status, 200)
})

t.test('100,000 brackets', async (t) => {
  const brackets = '['.repeat(100_000)
  const wide = await startLiveSidecar(t, { databaseUrl })
  for (const value of [brackets, `${brackets}${']'.repeat(100_000)}`]) {
    const answer = await wide.client.request('POST', '/cache/set', { raw: `{"key":"foo","value":${value}}` })
    isProblem(t, answer, 422, /^(body|value): /)
  }
  const object = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`
  const answer = await wide.client.request('POST', '/cache/set', { raw: `{"key":"foo","value":${object}}` })
  isProblem(t, answer, 422, /^value: nested/)
})

t.test('too large', async (t) => {
  const body = (bytes: number) => {
    const frame = '{"key":"large","value":""}'.length
    return `{"key":"large","value":"${'x'.repeat(bytes - frame)}"}`
  }
  t.equal((await send('POST', '/cache/set', { raw: body(maxValueBytes) })).status, 200)
  isProblem(t, await send('POST', '/cache/set', { raw: body(maxValueBytes + 1) }), 413, /^body: larger than/)
  const half = body(maxValueBytes + 1)
  const pieces = [half.slice(0, maxValueBytes / 2), half.slice(maxValueBytes / 2)]
  isProblem(t, await send('POST', '/cache/set', { raw: pieces }), 413, /^body: larger than/)
  // More than fits into any buffer on the way: the answer has to come all the same.
  isProblem(t, await send('POST', '/cache/set', { raw: body(8_000_000) }), 413, /^body: larger than/)

  const standard = await startLiveSidecar(t, { databaseUrl })
  t.equal((await standard.client.request('POST', '/cache/set', { raw: body(1_048_576) })).status, 200)
  const over = await standard.client.request('POST', '/cache/set', { raw: body(1_048_577) })
  isProblem(t, over, 413, /^body: larger than 1048576 bytes/)
})

t.test('content types', async (t) => {
  const sent = (type: string) =>
    send('POST', '/cache/set', { body: { key: 'typed', value: 1 }, headers: { 'Content-Type': type } })
  const wrong = [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/xml',
    'json',
    'multipart/form-data',
  ]
  for (const type of wrong) isProblem(t, await sent(type), 415, /Content-Type/)
  const right = [
    'application/json',
    'application/json; charset=utf-8',
    'Application/JSON',
    'application/foo+json',
  ]
  for (const type of right) t.equal((await sent(type)).status, 200, type)
  isProblem(
    t,
    await send('POST', '/cache/set', { raw: ['key', '=foo'], headers: { 'Content-Type': 'text/plain' } }),
    415,
    /Content-Type/,
  )
})

/** Sends bytes as they are; resolves to what came back when the connection has ended. */
async function raw(bytes: string, { halfClose = false } = {}): Promise<string> {
  const socket = connect(Number(new URL(client.base).port), '127.0.0.1')
  socket.setTimeout(20_000, () => socket.destroy(new Error('no answer')))
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
    if (!halfClose) socket.end()
  })
  await once(socket, 'connect')
  if (halfClose) socket.end(bytes)
  else socket.write(bytes)
  await once(socket, 'close')
  return text
}

t.test('malformed HTTP is refused', async (t) => {
  t.match(await raw('nonsense\r\n\r\n'), /^HTTP\/1.1 400 /)
  t.match(await raw(`GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`), /^HTTP\/1.1 431 /)
  t.match(await raw('GET /health HTTP/1.1\r\n\r\n'), /^HTTP\/1.1 400 /)
  const head = 'POST /cache/set HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
  t.notMatch(await raw(`${head}Content-Length: 100\r\n\r\n{"key":`, { halfClose: true }), /^HTTP\/1.1 (2|5)/)
  t.notMatch(await raw(`${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`), /^HTTP\/1.1 (2|5)/)
})

t.test('a client may disconnect at any point', async (t) => {
  const socket = connect(Number(new URL(client.base).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.write(
    'POST /cache/set HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
  )
  await client.request('GET', '/health')
  reset(socket)
  await once(socket, 'close')
  t.equal((await send('GET', '/health')).status, 200)
})

t.test('bad values do not affect writes of the same batch', async (t) => {
  const all = await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      index % 3 === 0
        ? send('POST', '/cache/set', { raw: `{"key":"mixed ${index}","value":"\\u0000"}` })
        : send('POST', '/cache/set', { body: { key: `mixed ${index}`, value: index } }),
    ),
  )
  all.forEach((answer, index) => {
    if (index % 3 === 0) isProblem(t, answer, 422, /^value: /)
    else t.match(answer.body, { ok: true, db_written: true })
  })
})

t.test('none of these requests caused a 500', async (t) => {
  t.equal((await send('GET', '/health')).body.status, 'ok')
  t.same(
    answers.filter((text) => /"status":5(?!01)/.test(text)),
    [],
  )
  t.same(
    log.filter((line) => (JSON.parse(line) as { level: number }).level >= 40),
    [],
    'nothing to warn of',
  )
})

t.test('the password appears nowhere', async (t) => {
  answers.push((await send('GET', '/')).text, (await send('GET', '/cache/stats')).text)
  const down = await cacheDatabase(t)
  const gone = Object.assign(new URL(down.url), { password }).href
  const other = await startLiveSidecar(t, { databaseUrl: gone, maxStalenessMs: 300 })
  await other.client.set('foo', 'bar')
  await down.drop()
  for (const path of ['/', '/health', '/cache/stats', '/cache/get?key=nothing']) {
    answers.push((await other.client.request('GET', path)).text)
  }
  answers.push((await other.client.set('foo', 'baz')).text)
  const all = [...answers, ...log, ...other.log]
  t.ok(other.log.length > 0 && answers.length > 100, 'there is something to look at')
  t.ok(
    all.some((text) => text.includes(new URL(url).pathname)),
    'the database is named',
  )
  t.same(
    all.filter((text) => text.includes(password)),
    [],
  )
})
