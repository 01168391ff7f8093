import { once } from 'node:events'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { ConnectionPool } from '../../../src/postgres/pool/connection-pool.js'
import { eventually } from '../../support/eventually.js'
import { recordingLog } from '../../support/recording-log.js'
import { scriptedPostgres } from '../../support/scripted-postgres.js'

/** A pool of a server that refuses connections as `refuse` says, by the text of their startup. */
async function poolOf(t: Test, refuse?: (startup: string) => string | undefined) {
  const server = await scriptedPostgres(t, { ...(refuse && { refuse }) })
  const { log, logged } = recordingLog()
  const pool = new ConnectionPool({ url: server.url, poolSize: 2, timeoutMs: 1_234, log })
  return { pool, logged, ...server }
}

t.test('a pooler that refuses settings gets connections without them', async (t) => {
  const { pool, logged, startups } = await poolOf(t, (startup) =>
    startup.includes('statement_timeout') ? 'unsupported startup parameter: statement_timeout' : undefined,
  )
  t.teardown(() => pool.close())
  const one = await pool.connect()
  const other = await pool.connect()
  t.match(pool.use, { busy: 2, idle: 0, waiting: 0, size: 2 })
  one.release()
  other.release()
  t.match(pool.use, { busy: 0, idle: 2 })
  t.match(startups[0], 'application_name\u0000caching-layer\0')
  t.match(startups[0], 'statement_timeout\u00001234\0')
  t.match(startups[0], 'lock_timeout\u0000124\0')
  t.equal(startups.length, 3)
  for (const startup of startups.slice(1)) t.notMatch(startup, 'timeout')
  t.match(logged, [
    {
      level: 'warn',
      fields: { reason: /unsupported startup parameter/ },
      message: "the pooler refuses statement_timeout and lock_timeout: only the sidecar's own timeouts apply",
    },
  ])
})

t.test('any other refusal is an error, and so is one without settings', async (t) => {
  const refused = await poolOf(t, () => 'no')
  await t.rejects(refused.pool.connect(), {
    code: 'store-unavailable',
    message: 'no connection to the database: no',
  })
  t.equal(refused.startups.length, 1)
  const never = await poolOf(t, () => 'unsupported startup parameter: application_name')
  await t.rejects(never.pool.connect(), { code: 'store-unavailable' })
  t.equal(never.startups.length, 2)
})

t.test('a pool that is closed has no connection left', async (t) => {
  const { pool, sockets } = await poolOf(t)
  const client = await pool.connect()
  client.release()
  const [socket] = sockets
  await Promise.all([once(socket as Socket, 'close'), pool.close()])
  t.match(pool.use, { busy: 0, idle: 0 })
})

t.test('an idle connection that is lost is logged, and replaced', async (t) => {
  const { pool, sockets, logged } = await poolOf(t)
  t.teardown(() => pool.close())
  const client = await pool.connect()
  client.release()
  sockets[0]?.destroy()
  await eventually(() => logged.length > 0)
  t.match(logged, [
    { level: 'info', fields: { reason: /terminated/ }, message: 'an idle database connection was lost' },
  ])
  const other = await pool.connect()
  other.release()
  t.equal(sockets.length, 2)
})

t.test('a pool that is renewed gives up its idle connections', async (t) => {
  const { pool, sockets } = await poolOf(t)
  t.teardown(() => pool.close())
  const client = await pool.connect()
  client.release()
  const closed = once(sockets[0] as Socket, 'close')
  pool.renew()
  await closed
  t.match(pool.use, { busy: 0, idle: 0 })
})

t.test('who waits for a connection while the pool is renewed still gets one', async (t) => {
  const { pool, sockets } = await poolOf(t)
  t.teardown(() => pool.close())
  const [one, other] = [await pool.connect(), await pool.connect()]
  const waiting = pool.connect()
  t.equal(pool.use.waiting, 1)
  pool.renew()
  one.release()
  const third = await waiting
  const closed = sockets.map((socket) => once(socket, 'close'))
  third.release()
  other.release()
  await Promise.all(closed)
  t.equal(sockets.length, 2)
})
