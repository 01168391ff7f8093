import { once } from 'node:events'
import { Agent } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import pg from 'pg'
import t from 'tap'
import { CliProcess, serve, untilLive } from '../support/child-process.js'
import { freshDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { guestOf } from '../support/guest.js'
import { JsonClient } from '../support/json-client.js'

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} during load: no request fails that was accepted`, async (t) => {
    const { url } = await freshDatabase(t)
    const sidecar = await serve(t, { DATABASE_URL: url })
    await untilLive(sidecar)
    const answered = { before: 0, after: 0 }
    const unexpected: unknown[] = []
    let isStopping = false

    const clients = Array.from({ length: 64 }, async (_, number) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      t.teardown(() => agent.destroy())
      const client = new JsonClient(sidecar.client.base, agent)
      for (let round = 0; ; round++) {
        try {
          const key = `${number} ${round % 10}`
          const answer = await (round % 4 === 0 ? client.set(key, round) : client.get(key))
          if (answer.status === 200 || answer.status === 404) answered[isStopping ? 'after' : 'before']++
          else unexpected.push(answer)
        } catch (error) {
          // Refused: the connection was closed by the last answer, and a new one was not accepted.
          if (!isStopping || (error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') unexpected.push(error)
          if (isStopping) return
          if (unexpected.length > 0) return
        }
      }
    })
    await eventually(() => answered.before > 2_000)
    isStopping = true
    sidecar.kill(signal)
    await Promise.all(clients)
    t.same(unexpected, [])
    t.ok(answered.after > 0, 'there were requests while it stopped')
    t.strictSame(await sidecar.exited, { code: 0, signal: null })
    t.equal(sidecar.stdout, '')
  })
}

t.test('a request that is under way is finished', async (t) => {
  const { url } = await freshDatabase(t)
  const sidecar = await serve(t, { DATABASE_URL: url, DATABASE_TIMEOUT_MS: '8000' })
  await untilLive(sidecar)
  await sidecar.client.set('locked', 1)
  const writer = new pg.Client({ connectionString: url })
  await writer.connect()
  t.teardown(() => writer.end())
  await writer.query("begin; select from cache_entries where key = 'locked' for update")
  const setting = sidecar.client.set('locked', 2)
  await eventually(async () => {
    const { rows } = await writer.query(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    )
    return rows.length > 0
  })
  sidecar.kill('SIGTERM')
  await eventually(() => sidecar.log.some(({ msg }) => msg === 'stopping'))
  await writer.query('commit')
  t.match((await setting).body, { ok: true, db_written: true })
  t.strictSame(await sidecar.exited, { code: 0, signal: null })
  const { rows } = await writer.query("select value from cache_entries where key = 'locked'")
  t.strictSame(rows, [{ value: '2' }])
})

t.test('a second signal ends it at once', async (t) => {
  const { url } = await freshDatabase(t)
  const sidecar = await serve(t, { DATABASE_URL: url })
  // Half a request: the first signal waits for the rest of it.
  const socket = connect(Number(new URL(sidecar.client.base).port), '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write('POST /cache/set HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{')
  await sidecar.client.request('GET', '/health')
  sidecar.kill('SIGTERM')
  await eventually(() => sidecar.log.some(({ msg }) => msg === 'stopping'))
  t.notOk(sidecar.hasExited)
  sidecar.kill('SIGTERM')
  t.strictSame(await sidecar.exited, { code: 1, signal: null })
})

/** Takes connections and says nothing. */
async function silentServer(t: { teardown(fn: () => unknown): void }) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => sockets.add(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port } = server.address() as { port: number }
  return { url: `postgresql://nobody@127.0.0.1:${port}/nothing`, connections: () => sockets.size }
}

t.test('a signal while it waits for its first contact', async (t) => {
  const silent = await silentServer(t)
  const sidecar = new CliProcess(t, ['serve'], { DATABASE_URL: silent.url, PORT: '0' })
  await eventually(() => silent.connections() > 0)
  sidecar.kill('SIGTERM')
  t.strictSame(await Promise.race([sidecar.exited, eventually(() => false).catch(() => 'still there')]), {
    code: 0,
    signal: null,
  })
})

t.test('a signal while the database is away', async (t) => {
  const { url, drop } = await freshDatabase(t)
  await drop()
  const sidecar = await serve(t, { DATABASE_URL: url })
  await sidecar.client.set('kept', 1)
  sidecar.kill('SIGTERM')
  t.strictSame(await sidecar.exited, { code: 0, signal: null })
})

t.test('what was kept is sent before the end', async (t) => {
  const database = await freshDatabase(t)
  const guest = await guestOf(t, database)
  const sidecar = await serve(t, { DATABASE_URL: guest.url })
  await untilLive(sidecar)
  await guest.shutOut()
  await eventually(async () => (await sidecar.client.set('kept', 'sent late')).body.db_written === false)
  await guest.letIn()
  sidecar.kill('SIGTERM')
  t.strictSame(await sidecar.exited, { code: 0, signal: null })
  const { rows } = await database.query("select value from cache_entries where key = 'kept'")
  t.strictSame(rows, [{ value: 'sent late' }])
})
