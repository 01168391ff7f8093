import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const { url, query } = await cacheDatabase(t)
const mebibyte = 1024 * 1024
const large = 'x'.repeat(mebibyte - 100)
const stopped: Socket[] = []

/** Sends many reads of the key on one connection, and does not read the responses. */
function neverReads(t: Test, port: number, header = ''): void {
  const socket = connect(port, '127.0.0.1', () =>
    socket.write(`GET /cache/get?key=large HTTP/1.1\r\nHost: localhost\r\n${header}\r\n`.repeat(30)),
  )
  socket.pause()
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  stopped.push(socket)
}

for (const [name, header] of [
  ['plain reads', ''],
  ['reads with a wish', 'Cache-Control: no-cache\r\n'],
] as const) {
  t.test(`${name}: unread responses leave room for small ones until they are gone`, async (t) => {
    const { client, sidecar } = await startLiveSidecar(t, { databaseUrl: url, memoryBytes: 24 * mebibyte })
    t.equal((await client.set('large', large)).status, 200)
    t.equal((await client.set('small', 1)).status, 200)
    t.equal((await client.get('large')).status, 200)
    for (let n = 0; n < 6; n++) neverReads(t, sidecar.port, header)
    await eventually(async () => (await client.get('large')).status === 503)
    const refused = await client.get('large')
    t.match(refused, { status: 503, body: { detail: /No memory is left for the response/ } })
    t.match(await client.get('small'), { status: 200, body: { value: 1 } })
    t.match(
      await client.request('GET', '/cache/get?key=large', { headers: { 'Cache-Control': 'no-cache' } }),
      {
        status: 503,
      },
    )
    for (const socket of stopped.splice(0)) socket.destroy()
    await eventually(async () => (await client.get('large')).status === 200)
    for (let n = 0; n < 30; n++) t.equal((await client.get('large')).status, 200, 'who reads is answered')
  })
}

t.test('many concurrent reads of large values are all answered or refused', async (t) => {
  const { client } = await startLiveSidecar(t, {
    databaseUrl: url,
    memoryBytes: 64 * mebibyte,
    databaseTimeoutMs: 20_000,
  })
  await query(
    "insert into cache_entries (key, value) select 'cold ' || n, repeat('y', 1000000) from generate_series(1, 60) n",
  )
  const answers = await Promise.all(Array.from({ length: 60 }, (_, n) => client.get(`cold ${n + 1}`)))
  const statuses = new Set(answers.map(({ status }) => status))
  t.ok([...statuses].every((status) => status === 200 || status === 503))
  t.ok(statuses.has(200))
})
