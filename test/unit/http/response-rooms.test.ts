import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { eventually } from '../../support/eventually.js'
import { modelHttp } from '../../support/model-http.js'

const onlyIfCached = { 'Cache-Control': 'only-if-cached' }
const large = JSON.stringify('x'.repeat(90_000))

t.test('a request for entries that are not all in memory takes no room after its response', async (t) => {
  const { client, responses } = await modelHttp(t)
  const ask = (headers: Readonly<Record<string, string>>) =>
    client.request('POST', '/v1/entries:get', { body: { keys: ['a', 'b'] }, headers })
  t.match(await ask(onlyIfCached), {
    status: 504,
    body: { detail: 'Not all in memory, and only-if-cached', type: /#not-in-memory$/ },
  })
  t.equal(responses.bytes, 0)
  t.equal((await ask({})).status, 200)
  t.match(await ask(onlyIfCached), { status: 200, body: { entries: { length: 0 }, missing: ['a', 'b'] } })
  t.equal(responses.bytes, 0)
})

t.test('a request for entries that fails takes no room', async (t) => {
  const { client, store, responses } = await modelHttp(t)
  const ask = (keys: readonly string[]) => client.request('POST', '/v1/entries:get', { body: { keys } })
  store.stop()
  t.equal((await ask(['a'])).status, 503)
  t.equal(responses.bytes, 0)
})

t.test('values that are too large together are refused, and take no room', async (t) => {
  const { client, store, feed, responses } = await modelHttp(t, { responseBytes: 200_000 })
  const keys = ['a', 'b']
  for (const key of keys) store.setBySql(key, large)
  feed.deliver()
  const ask = (keys: readonly string[]) => client.request('POST', '/v1/entries:get', { body: { keys } })
  t.match(await ask(keys), {
    status: 413,
    body: {
      detail: 'keys: their values are larger than 160000 bytes together; ask for fewer keys',
      type: /#response-too-large$/,
    },
  })
  t.equal(responses.bytes, 0)
  t.equal((await ask(['a'])).status, 200)
  await eventually(() => responses.bytes === 0)
})

t.test('values that are all in memory need room, too', async (t) => {
  const { client, store, feed, responses } = await modelHttp(t, { responseBytes: 200_000 })
  const keys = ['a', 'b']
  for (const key of keys) store.setBySql(key, large)
  feed.deliver()
  for (const key of keys) t.equal(await client.held(key), 'x'.repeat(90_000))
  const ask = (keys: readonly string[]) =>
    client.request('POST', '/v1/entries:get', { body: { keys }, headers: onlyIfCached })
  t.match(await ask(keys), { status: 413, body: { type: /#response-too-large$/ } })
  t.match(await ask(['a']), { status: 200, body: { entries: { length: 1 } } })
  await eventually(() => responses.bytes === 0)
})

t.test('keys without an entry need room, too', async (t) => {
  const { client, responses } = await modelHttp(t, { responseBytes: 200_000 })
  // Each of them takes 64 bytes more than its own length.
  const keys = Array.from({ length: 1_000 }, (_, index) => `${index}`.padStart(96, '0'))
  const ask = (keys: readonly string[]) => client.request('POST', '/v1/entries:get', { body: { keys } })
  t.match(await ask(keys), { status: 200, body: { entries: { length: 0 }, missing: { length: 1_000 } } })
  t.match(await ask([...keys.slice(1), 'k'.repeat(97)]), {
    status: 413,
    body: { type: /#response-too-large$/ },
  })
  await eventually(() => responses.bytes === 0)
})

/** Sends requests for a large entry on one connection, and does not read the responses. */
function neverReads(t: Test, port: number, path: string): Socket {
  const socket = connect(port, '127.0.0.1', () =>
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(200)),
  )
  socket.pause()
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  return socket
}

for (const path of ['/cache/get?key=large', '/v1/entries/large'])
  t.test(`unread responses of the fast lane to ${path} are counted, and bounded`, async (t) => {
    const { client, port, store, feed, responses } = await modelHttp(t, { isFastLaneOn: true })
    store.setBySql('large', large)
    store.setBySql('small', '1')
    feed.deliver()
    t.equal((await client.request('GET', path)).status, 200)
    const sockets: Socket[] = []
    await eventually(async () => {
      sockets.push(neverReads(t, port, path))
      return (await client.request('GET', path)).status === 503
    })
    t.ok(responses.bytes > 700_000)
    t.match(await client.request('GET', path), {
      headers: { 'retry-after': '1' },
      body: { detail: 'No memory is left for the response: other clients do not read theirs' },
    })
    t.equal((await client.get('small')).status, 200)
    for (const socket of sockets) socket.destroy()
    await eventually(() => responses.bytes === 0)
    t.equal((await client.request('GET', path)).status, 200)
  })
