import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { lookAtBudget } from '../../src/tools/doctor/server.js'
import { ownServer } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { startSidecar } from '../support/sidecar.js'

const count = 20
/** Connections of one sidecar: one that listens, and the pool. */
const connectionsEach = 3
/** Connections that no sidecar gets: three that PostgreSQL reserves for superusers, and one of the test. */
const others = 3 + 1

t.test('a fleet on a server with as few connections as doctor allows', async (t) => {
  const server = await ownServer(t, {
    max_connections: String(count * connectionsEach + others),
    log_line_prefix: '%e ',
  })
  const clientOf = async () => {
    const client = new pg.Client({ connectionString: server.url(), application_name: 'test' })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }
  let admin = await clientOf()
  t.teardown(() => admin.end())
  t.match(await lookAtBudget(admin, { sidecars: count, connectionsEach }), { ok: true })
  t.match(await lookAtBudget(admin, { sidecars: count + 1, connectionsEach }), { ok: false })

  const started = await Promise.all(
    Array.from({ length: count }, () => startSidecar(t, { databaseUrl: server.url() })),
  )
  const clients = started.map(({ client }) => client)
  const untilAllLive = (losses: number) =>
    eventually(
      async () => {
        const feeds = await Promise.all(clients.map(async (client) => (await client.stats()).feed))
        return feeds.every((feed) => feed.state === 'live' && feed.losses === losses)
      },
      { withinMs: 10_000, everyMs: 50 },
    )
  const connections = async () => {
    const { rows } = await admin.query<{ feeds: number; pools: number }>(
      `select count(*) filter (where application_name = 'caching-layer changes')::int as feeds,
              count(*) filter (where application_name = 'caching-layer')::int as pools
       from pg_stat_activity`,
    )
    return rows[0] as { feeds: number; pools: number }
  }
  await untilAllLive(0)

  await t.test('after a restart of the server all sidecars reconnect and none is refused', async (t) => {
    await server.stop('fast')
    await server.start()
    await untilAllLive(1)
    admin = await clientOf()
    const log = await readFile(join(server.dataDir, 'server.log'), 'utf8')
    t.match(log, /^57P01 /m, 'the log has the codes')
    t.notMatch(log, /^53300 /m)

    await clients[0]?.set('a', 'before')
    for (const client of clients) await client.held('a')
    await admin.query("update cache_entries set value = 'after'")
    for (const client of clients) await eventually(async () => (await client.value('a')) === 'after')
  })

  await t.test('connections that are no longer needed are closed', async (t) => {
    // A read and a write at one moment take one each.
    await eventually(
      async () => {
        await Promise.all(
          clients.flatMap((client, index) => [client.get(`no ${index}`), client.set(`key ${index}`, index)]),
        )
        return (await connections()).pools > 1.5 * count
      },
      { everyMs: 0 },
    )
    // The pools keep at most one connection, for echoes, and not all the time.
    await eventually(async () => (await connections()).pools <= count, { everyMs: 100 })
    t.equal((await connections()).feeds, count)
  })
})
