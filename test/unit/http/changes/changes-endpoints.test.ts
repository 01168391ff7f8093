import t from 'tap'
import { maxStreamBytes } from '../../../../src/http/routes/changes/change-stream.js'
import { EventStream } from '../../../support/event-stream.js'
import { eventually } from '../../../support/eventually.js'
import { modelHttp } from '../../../support/model-http.js'
import { exchange } from '../../../support/raw-http.js'

const path = '/v1/changes'

t.test('a stream for which no memory is left is refused as a problem', async (t) => {
  const { client, counted } = await modelHttp(t, { responseBytes: maxStreamBytes - 1 })
  t.match(await client.request('GET', path), {
    status: 503,
    headers: { 'content-type': /^application\/problem\+json/, 'retry-after': '1' },
    body: { type: /#no-memory$/, detail: 'No memory is left for another stream of changes' },
  })
  t.strictSame(counted(), [`${path} unavailable none`])
})

t.test('HEAD has the headers of a stream, and opens none', async (t) => {
  const { port, client, responses } = await modelHttp(t)
  const head = `HEAD ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
  const last = 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
  const answer = await exchange(port, head + last)
  t.match(answer, /^HTTP\/1\.1 200 .*Content-Type: text\/event-stream.*HTTP\/1\.1 200 .*"status":"ok"/s)
  t.equal(responses.bytes, 0)
  t.match((await client.stats()).change_streams, { open: 0 })
})

t.test(
  'a request with a malformed one behind it gets a problem, and no stream that is cut off',
  async (t) => {
    const { port, client, responses } = await modelHttp(t)
    const answer = await exchange(port, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\nno request\r\n\r\n`)
    t.match(answer, /^HTTP\/1\.1 400 /)
    t.notMatch(answer, 'text/event-stream')
    t.match((await client.stats()).change_streams, { open: 0 })
    t.equal(responses.bytes, 0)
  },
)

t.test('a stream continues after one event, and begins at the end without one', async (t) => {
  const { client, port, cache, responses } = await modelHttp(t)
  const first = await EventStream.open(t, `${client.base}${path}`)
  const { id = '' } = (await first.next('open')) ?? {}
  for (const key of ['a', 'user:b']) cache.following.changeLog.changed(key, '1')
  const open = (query: string, lastEventId: string) =>
    EventStream.open(t, `${client.base}${path}${query}`, { 'Last-Event-ID': lastEventId })
  const again = await open('', id)
  await again.next('open')
  t.match(await again.next(), { name: 'change', data: { key: 'a' } })
  const some = await open('?prefix=user%3A', id)
  await some.next('open')
  const last = await some.next()
  t.match(last, { name: 'change', data: { key: 'user:b' } })
  const fresh = await open('', '')
  t.equal((await fresh.next('open'))?.id, last?.id, 'an empty id is none')
  t.match(fresh.headers, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  const head = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n`
  t.match(
    await exchange(port, `${head}Last-Event-ID: ${id}\r\nlast-event-id: ${id}\r\n\r\n`),
    /^HTTP\/1\.1 400 .*Last-Event-ID: given more than once/s,
  )
  for (const stream of [first, again, some, fresh]) stream.close()
  await eventually(() => responses.bytes === 0)
})

t.test('a question is taken for an open stream only, and in a short body', async (t) => {
  const { client } = await modelHttp(t)
  const stream = await EventStream.open(t, `${client.base}${path}`)
  const name = (await stream.next('open'))?.data.stream
  const ask = (body: object) => client.request('POST', `${path}:prove`, { body })
  t.match(await ask({ stream: name, question: 'one' }), { status: 204, text: '' })
  t.match(await stream.next('proof'), { data: { question: 'one' } })
  t.match(await ask({ stream: `${name}0`, question: 'one' }), {
    status: 404,
    body: { type: /#no-stream$/, detail: 'stream: not open at this sidecar' },
  })
  t.match(await ask({ stream: 'x'.repeat(4 * 1024) }), {
    status: 413,
    body: { detail: 'body: larger than 4096 bytes' },
  })
})
