/** Headers that may be given once, headers that a request does not take, and OPTIONS. */
import t from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { rawAnswer } from '../../support/openapi/raw-answer.js'
import { startLiveSidecar, startSidecar } from '../../support/sidecar.js'

const apiToken = 'let-me-in-please'
const { url } = await cacheDatabase(t)
const { client, sidecar } = await startLiveSidecar(t, { databaseUrl: url })
const guarded = await startSidecar(t, { databaseUrl: url, apiToken })

async function send(
  line: string,
  {
    headers = [],
    body = '',
    port = sidecar.port,
  }: { headers?: readonly string[]; body?: string; port?: number },
) {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]
  const lines = [`${line} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...length, ...headers]
  const answer = await rawAnswer(port, `${lines.join('\r\n')}\r\n\r\n${body}`)
  return { ...answer, body: answer.text.startsWith('{') ? JSON.parse(answer.text) : {} }
}

const json = 'Content-Type: application/json'
const lease = 'A'.repeat(22)

t.test('a header that may be given once is refused if it is given twice', async (t) => {
  const set = '{"key":"k","value":1}'
  const types = [json, 'content-type: application/json']
  for (const [line, headers, body] of [
    ['PUT /v1/entries/k', types, '1'],
    ['PUT /v1/entries/k', [json, 'Content-Type: text/plain'], '1'],
    ['POST /cache/set', types, set],
    ['POST /cache/set', [json, 'Content-Type: text/plain'], set],
    ['POST /cache/set', ['Content-Type: text/plain', json], set],
    ['POST /v1/entries:get', types, '{"keys":[]}'],
    ['POST /v1/entries:batch', types, '{"items":[]}'],
    ['POST /v1/invalidate', types, '{"keys":["k"]}'],
    ['PUT /v1/entries/k', [`Fill-Lease: ${lease}`, `Fill-Lease: ${lease}`], '1'],
    ['GET /v1/entries/k', ['Cache-Token: a', 'Cache-Token: a'], ''],
    ['GET /cache/get?key=k', ['Cache-Token: a', 'cache-token: b'], ''],
    ['POST /cache/set', [json, 'Content-Length: 21', 'Content-Length: 21'], ''],
  ] as const) {
    const answer = await send(line, { headers, body })
    t.match(answer, { status: 400, body: { type: /#invalid-request$/ } }, `${line} ${headers}`)
  }
  t.match(await send('POST /cache/set', { headers: types, body: set }), {
    body: { detail: 'Content-Type: given more than once' },
  })
  t.equal((await client.get('k')).status, 404, 'nothing was written')
})

t.test('a body in a transfer coding other than chunked is refused', async (t) => {
  for (const line of ['PUT /v1/entries/k', 'POST /cache/set', 'POST /v1/entries:batch'])
    for (const coding of ['gzip, chunked', 'deflate,chunked'])
      t.match(
        await send(line, { headers: [json, `Transfer-Encoding: ${coding}`, '', '0', ''] }),
        { status: 415, body: { detail: 'Transfer-Encoding: must be chunked' } },
        `${line} ${coding}`,
      )
  t.equal((await client.get('k')).status, 404, 'nothing was written')
})

t.test('a token that is given twice is refused', async (t) => {
  const { port } = guarded.sidecar
  const authorization = `Authorization: Bearer ${apiToken}`
  const get = 'GET /cache/get?key=k'
  t.match(await send(get, { port, headers: [authorization] }), { status: 404 })
  for (const headers of [
    [authorization, authorization],
    [authorization, 'authorization: Bearer other'],
    ['Authorization: Bearer other', authorization],
  ])
    t.match(await send(get, { port, headers }), {
      status: 400,
      body: { detail: 'Authorization: given more than once' },
    })
})

t.test('lists may be given in several lines', async (t) => {
  for (const [line, headers, body, status] of [
    [
      'PUT /v1/entries/list',
      ['Cache-Groups: "a"', 'Cache-Groups: "b"', 'Cache-Control: x', 'Cache-Control: max-age=60'],
      '1',
      201,
    ],
    ['GET /v1/entries/list', ['Cache-Control: no-cache', 'Cache-Control: no-store'], '', 200],
    ['GET /v1/entries/list', ['If-None-Match: "x"', 'If-None-Match: "y"'], '', 200],
    ['GET /v1/entries/none', ['Prefer: wait=0', 'Prefer: fill-lease=1'], '', 404],
  ] as const)
    t.equal((await send(line, { headers, body })).status, status, line)
  t.match((await client.request('GET', '/v1/entries?prefix=list')).body, {
    entries: [{ groups: ['a', 'b'] }],
  })
})

t.test('a write that cannot have a condition refuses it', async (t) => {
  await client.set('kept', 'old')
  for (const header of [`Fill-Lease: ${lease}`, 'If-Match: "1-2-0A1B2C3D"', 'If-None-Match: *'])
    for (const [line, body] of [
      ['POST /cache/set', '{"key":"kept","value":"new"}'],
      ['DELETE /cache/delete?key=kept', ''],
      ['POST /v1/entries:batch', '{"items":[{"op":"delete","key":"kept"}]}'],
      ['POST /v1/invalidate', '{"keys":["kept"]}'],
    ] as const) {
      const [name] = header.split(':')
      const answer = await send(line, { headers: [json, header], body })
      t.match(answer, { status: 422, body: { detail: new RegExp(`^${name}: `) } }, `${line} ${header}`)
    }
  t.equal(await client.value('kept'), 'old')
})

t.test('OPTIONS is answered with 200 and the methods of the path', async (t) => {
  for (const [path, allow] of [
    ['/cache/get?key=k', 'HEAD, GET'],
    ['/v1/entries/k', 'HEAD, GET, PUT, DELETE'],
    ['/v1/entries:batch', 'POST'],
    ['/', 'HEAD, GET'],
  ] as const)
    t.match(await client.request('OPTIONS', path), {
      status: 200,
      text: '',
      headers: { allow, 'content-length': '0' },
    })
  t.equal((await client.request('OPTIONS', '/nope')).status, 404)
  const { body } = await client.request('GET', '/openapi.json')
  t.match((body.info as { description: string }).description, /OPTIONS with 200 .* 405 or 501/)
})
