import { once } from 'node:events'
import { Agent } from 'node:http'
import { connect } from 'node:net'
import pg from 'pg'
import t, { type Test } from 'tap'
import { CliProcess, serve, untilLive } from '../support/child-process.js'
import { cacheDatabase, freshDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { guestOf } from '../support/guest.js'
import { JsonClient } from '../support/json-client.js'
import { silentServer } from '../support/silent-server.js'

/**
 * Number of times the sidecar is stopped under load. `SHUTDOWN_ROUNDS=50 npx tap --timeout=1200
 * test/e2e/shutdown.test.ts` for more.
 */
const rounds = Number(process.env.SHUTDOWN_ROUNDS ?? 3)

t.test(
  'a signal during load: no request fails that was accepted',
  { timeout: rounds * 60_000 },
  async (t) => {
    const { url } = await cacheDatabase(t)
    for (let round = 0; round < rounds; round++) {
      const signal = round % 2 === 0 ? 'SIGTERM' : 'SIGINT'
      await t.test(`${signal}, round ${round + 1}`, (t) => stopUnderLoad(t, url, signal))
    }
  },
)

async function stopUnderLoad(t: Test, url: string, signal: 'SIGTERM' | 'SIGINT'): Promise<void> {
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
}

t.test('a request in progress is finished', async (t) => {
  const { url } = await cacheDatabase(t)
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

t.test('a second signal ends the process at once', async (t) => {
  const { url } = await cacheDatabase(t)
  const sidecar = await serve(t, { DATABASE_URL: url })
  // Half a request: the first signal waits for the rest of it.
  const socket = connect(Number(new URL(sidecar.client.base).port), '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write('POST /cache/set HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{')
  await sidecar.client.request('GET', '/health')
  sidecar.kill('SIGTERM')
  await eventually(() => sidecar.log.some(({ msg }) => msg === 'stopping'))
  t.notOk(sidecar.hasExited)
  sidecar.kill('SIGTERM')
  t.strictSame(await sidecar.exited, { code: 1, signal: null })
})

t.test('a signal before the first contact ends the process', async (t) => {
  const silent = await silentServer(t)
  const sidecar = new CliProcess(t, ['serve'], { DATABASE_URL: silent.url, PORT: '0', OPS_PORT: '0' })
  await eventually(() => silent.connections() > 0)
  sidecar.kill('SIGTERM')
  await eventually(() => sidecar.hasExited)
  t.strictSame(await sidecar.exited, { code: 0, signal: null })
})

t.test('a signal while the database is unavailable ends the process', async (t) => {
  const { url, drop } = await cacheDatabase(t)
  await drop()
  const sidecar = await serve(t, { DATABASE_URL: url })
  await sidecar.client.set('kept', 1)
  sidecar.kill('SIGTERM')
  t.strictSame(await sidecar.exited, { code: 0, signal: null })
})

t.test('pending writes are sent before the end', async (t) => {
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

t.test('during the shutdown delay the sidecar is unready and accepts new connections', async (t) => {
  const { url } = await cacheDatabase(t)
  const delayMs = 2_000
  const sidecar = await serve(t, { DATABASE_URL: url, CACHE_SHUTDOWN_DELAY_MS: `${delayMs}` })
  await eventually(async () => (await sidecar.ops.request('GET', '/readyz')).status === 200)
  const toldMs = performance.now()
  sidecar.kill('SIGTERM')
  await eventually(async () => (await sidecar.ops.request('GET', '/readyz')).status === 503)
  t.match(await sidecar.client.set('late', 1), { status: 200, body: { db_written: true } })
  t.equal((await sidecar.ops.request('GET', '/livez')).status, 200)
  t.ok(performance.now() - toldMs < delayMs, 'all that within the delay')
  t.strictSame(await sidecar.exited, { code: 0, signal: null })
  t.ok(performance.now() - toldMs >= delayMs)
})

t.test('a request that is not finished in time is cut off and logged', async (t) => {
  const { url } = await cacheDatabase(t)
  // A statement would wait 6 s for its row.
  const timeouts = { DATABASE_TIMEOUT_MS: '60000', CACHE_SHUTDOWN_TIMEOUT_MS: '1000' }
  const sidecar = await serve(t, { DATABASE_URL: url, ...timeouts })
  await untilLive(sidecar)
  await sidecar.client.set('locked', 1)
  const writer = new pg.Client({ connectionString: url })
  await writer.connect()
  t.teardown(() => writer.end())
  await writer.query("begin; select from cache_entries where key = 'locked' for update")
  const setting = t.rejects(sidecar.client.set('locked', 2), { code: 'ECONNRESET' })
  await eventually(async () => {
    const { rows } = await writer.query(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    )
    return rows.length > 0
  })
  const toldMs = performance.now()
  sidecar.kill('SIGTERM')
  t.strictSame(await sidecar.exited, { code: 0, signal: null })
  t.ok(performance.now() - toldMs < 5_000, 'no request waited for the row')
  await setting
  t.match(
    sidecar.log.filter(({ level }) => level === 40),
    [
      { msg: /^requests were cut off/, connections: 1 },
      { msg: /^not closed within/, unfinished: 'database connections', pendingWrites: 0 },
    ],
  )
})

t.test('POST /v1/shutdown ends the sidecar of a job', async (t) => {
  const { url } = await cacheDatabase(t)
  const deaf = await serve(t, { DATABASE_URL: url })
  t.equal((await deaf.client.request('POST', '/v1/shutdown')).status, 404, 'off unless it is turned on')

  const sidecar = await serve(t, { DATABASE_URL: url, CACHE_SHUTDOWN_ENDPOINT: 'on' })
  t.equal((await sidecar.client.request('GET', '/v1/shutdown')).status, 405)
  t.equal((await sidecar.ops.request('POST', '/v1/shutdown')).status, 404, 'not from outside the pod')
  t.match(await sidecar.client.request('POST', '/v1/shutdown'), { status: 202, body: { status: 'stopping' } })
  t.strictSame(await sidecar.exited, { code: 0, signal: null })
  t.notOk(deaf.hasExited)
})
