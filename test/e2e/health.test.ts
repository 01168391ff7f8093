/** Tests of `/health` while the change feed is live, but requests fail: it must say that, and why. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import t, { type Test } from 'tap'
import { cacheDatabase, freshDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { guestOf } from '../support/guest.js'
import type { JsonClient } from '../support/json-client.js'
import { startLiveSidecar } from '../support/sidecar.js'

/** Checks that the sidecar is ready, but degraded for this reason, and that no response names a database object. */
async function degraded(
  t: Test,
  clients: { client: JsonClient; ops: JsonClient },
  reason: RegExp,
  name = 'x',
): Promise<void> {
  const { client, ops } = clients
  await eventually(async () => reason.test((await ops.request('GET', '/readyz?verbose')).text))
  const ready = await ops.request('GET', '/readyz?verbose')
  t.equal(ready.status, 200)
  t.match(ready.text, /degraded/)
  const health = await client.request('GET', '/health')
  t.match(health.body, { status: 'ok', feed: 'live' })
  t.match(health.text, new RegExp(reason.source.replace(/^\w+ fail: /, '')))
  if (name !== 'x') t.notMatch(`${ready.text} ${health.text}`, name)
}

t.test('new connections of the pool are refused while the listener lives', async (t) => {
  const database = await cacheDatabase(t)
  const guest = await guestOf(t, database)
  await database.query(`grant select, insert, update, delete on cache_entries to ${guest.name}`)
  const { client, ops, log } = await startLiveSidecar(t, {
    databaseUrl: guest.url,
    databaseListenUrl: database.url,
    databaseTimeoutMs: 1_000,
    migrate: false,
  })
  await guest.shutOut()
  const reading = setInterval(() => void client.get('absent').catch(() => undefined), 50)
  t.teardown(() => clearInterval(reading))
  await degraded(t, { client, ops }, /reads fail: The database refuses the login/, guest.name)
  t.ok(log.some((line) => line.includes('"sqlState":"28000"')))
  await guest.letIn()
  await eventually(
    async () =>
      (await ops.request('GET', '/readyz?verbose')).text.includes('"ready"') ||
      !/fail/.test((await ops.request('GET', '/readyz?verbose')).text),
  )
})

t.test('writes that cannot commit are reported, while everything else continues', async (t) => {
  const database = await cacheDatabase(t)
  // A commit waits until its client gives up, as with an unavailable synchronous standby.
  await database.query(`create function waits() returns trigger language plpgsql as $$
    begin perform pg_sleep(10); return null; end $$`)
  await database.query(`create constraint trigger waits after insert or update on cache_entries
    deferrable initially deferred for each row execute function waits()`)
  const sidecar = await startLiveSidecar(t, { databaseUrl: database.url, databaseTimeoutMs: 300 })
  const { client } = sidecar
  let written = 0
  const writing = setInterval(() => void client.set(`key ${written++}`, 1).catch(() => undefined), 100)
  t.teardown(() => clearInterval(writing))
  await degraded(t, sidecar, /writes fail: The (outcome of the write is unknown|database did not answer)/)
})

t.test('a slow statement does not mean that the server is dead', async (t) => {
  const database = await freshDatabase(t)
  // A server that answers everything but one statement in time.
  const target = new URL(database.url)
  const server = createServer((socket) => {
    const upstream = connect(Number(target.port), target.hostname)
    let isSlow = false
    socket.on('data', (chunk) => {
      isSlow ||= chunk.includes('slow key')
      upstream.write(chunk)
    })
    upstream.on('data', (chunk) => {
      if (!isSlow) socket.write(chunk)
    })
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const)
      one.on('error', () => other.destroy()).on('close', () => other.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const databaseUrl = Object.assign(new URL(database.url), {
    port: String((server.address() as AddressInfo).port),
  }).href
  const { client } = await startLiveSidecar(t, {
    databaseUrl,
    databaseListenUrl: database.url,
    databaseTimeoutMs: 200,
  })
  for (let count = 0; count < 8; count++) t.equal((await client.get('slow key')).status, 503)
  t.match((await client.stats()).database, { breaker: 'closed', opened: 0 })
  t.match((await client.set('other', 1)).body, { db_written: true })
})
