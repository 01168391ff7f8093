import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import pg from 'pg'
import t, { type Test } from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import type { JsonClient, Stats } from '../../support/json-client.js'
import { startLiveSidecar, startSidecar } from '../../support/sidecar.js'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
const { url } = await cacheDatabase(t)
const mebibyte = 1024 * 1024
/** Room for one large body. */
const memoryBytes = 24 * mebibyte
const bytes = 900_000
const large = 'x'.repeat(bytes)
const json = 'Content-Type: application/json\r\n'
const unfinished = large.slice(1)
const noRoom = {
  status: 503,
  headers: { 'retry-after': '1' },
  body: { detail: /No memory is left for the body/ },
}

const forms = {
  'of a known length': `${json}Content-Length: ${bytes}\r\n\r\n${unfinished}`,
  'in chunks': `${json}Transfer-Encoding: chunked\r\n\r\n${bytes.toString(16)}\r\n${unfinished}`,
  'without a Content-Type': `Content-Length: ${bytes}\r\n\r\n${unfinished}`,
}

const head = (more = '') => `POST /cache/set HTTP/1.1\r\nHost: localhost\r\n${more}`

function send(t: Test, port: number, text: string): Socket {
  const socket = connect(port, '127.0.0.1', () => socket.write(text))
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  return socket
}

async function bodyBytes(client: JsonClient): Promise<number> {
  return (await client.stats()).memory.request_bodies.bytes
}

for (const [name, form] of Object.entries(forms)) {
  t.test(`unfinished bodies ${name} leave room for small ones until they are gone`, async (t) => {
    const { client, sidecar } = await startLiveSidecar(t, { databaseUrl: url, memoryBytes })
    t.equal((await client.set('large', large)).status, 200, 'one that is alone is received')
    const sockets = Array.from({ length: 5 }, () => send(t, sidecar.port, head() + form))
    await eventually(async () => (await client.set('large', large)).status === 503)
    const { limit_bytes: limit, bytes: used } = (await client.stats()).memory.request_bodies
    t.ok(used > bytes && used <= limit, 'they are counted, and are within their bound')
    t.match(await client.set('large', large), noRoom)
    t.match(await client.request('POST', '/cache/set', { raw: [`{"key":"k","value":"${large}`, '"}'] }), {
      status: 503,
    })
    t.match(await client.set('small', 1), { status: 200 })
    for (const socket of sockets) socket.destroy()
    await eventually(async () => (await bodyBytes(client)) === 0)
    t.equal((await client.set('large', large)).status, 200)
  })
}

t.test('a refused body is discarded, and its connection stays usable', async (t) => {
  const { client, sidecar } = await startLiveSidecar(t, { databaseUrl: url, memoryBytes })
  send(t, sidecar.port, head() + forms['of a known length'])
  await eventually(async () => (await bodyBytes(client)) > bytes)
  const socket = send(t, sidecar.port, head(`${json}Content-Length: ${bytes}\r\n\r\n`))
  t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 503 /, 'before it is sent')
  socket.write(`${large}GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200 /)
})

t.test('a set counts against the limit until the database has answered', async (t) => {
  const { client } = await startLiveSidecar(t, { databaseUrl: url, memoryBytes, databaseTimeoutMs: 20_000 })
  const locker = new pg.Client({ connectionString: url })
  await locker.connect()
  t.teardown(() => locker.end())
  await locker.query('begin; lock table cache_entries in share mode')
  const waiting = client.set('large', large)
  await eventually(async () => (await bodyBytes(client)) > bytes)
  t.match(await client.set('other', large), noRoom)
  await locker.query('rollback')
  t.equal((await waiting).status, 200)
  await eventually(async () => (await bodyBytes(client)) === 0)
})

t.test(
  'the body of a client without the token, or for another host, is neither counted nor kept',
  async (t) => {
    const { client: bare, sidecar } = await startSidecar(t, {
      databaseUrl: url,
      memoryBytes,
      apiToken: 'let-me-in-please',
    })
    const headers = { Authorization: 'Bearer let-me-in-please' }
    const used = async () => {
      const { body } = await bare.request('GET', '/cache/stats', { headers })
      return (body as unknown as Stats).memory.request_bodies.bytes
    }
    const answered: Socket[] = []
    collectGarbage()
    const before = process.memoryUsage().arrayBuffers
    for (let n = 0; n < 60; n++) {
      // A connection with an earlier response stays open.
      const socket = send(t, sidecar.port, 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await once(socket, 'data')
      const host = n % 2 === 0 ? 'localhost' : 'other.example'
      const form = Object.values(forms)[n % 3]
      socket.write(`POST /cache/set HTTP/1.1\r\nHost: ${host}\r\n${form}`)
      const response = String((await once(socket, 'data'))[0])
      t.match(response, host === 'localhost' ? /^HTTP\/1\.1 401 / : /^HTTP\/1\.1 421 /)
      answered.push(socket)
    }
    // All that was sent has been read from the sockets.
    await eventually(() => answered.every((socket) => socket.writableLength === 0))
    t.equal(await used(), 0)
    await eventually(() => {
      collectGarbage()
      return process.memoryUsage().arrayBuffers - before < 10 * bytes
    })
    for (const socket of answered) socket.destroy()
  },
)
