import t from 'tap'
import { serve, untilLive } from '../support/child-process.js'
import { freshDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { startPgBouncer, withoutPgBouncer } from '../support/pgbouncer.js'

t.test(
  'a sidecar with only PgBouncer in transaction mode reports that it cannot listen',
  { skip: withoutPgBouncer },
  async (t) => {
    const database = await freshDatabase(t)
    const pooled = await startPgBouncer(t, { databaseUrl: database.url, mode: 'transaction' })
    const startedMs = performance.now()
    const environment = { DATABASE_URL: pooled, LOG_LEVEL: 'info' }
    const [sidecar] = await Promise.all([serve(t, environment), serve(t, environment), serve(t, environment)])
    const { rows } = await database.query("select from pg_locks where locktype = 'advisory'")
    t.equal(rows.length, 0, 'migrated by way of the pooler, and no lock left behind')
    const { client } = sidecar
    const health = async () => (await client.request('GET', '/health')).body

    await eventually(async () => /pooler in transaction mode/.test(String((await health()).reason)))
    t.comment(`known after ${Math.round(performance.now() - startedMs)} ms`)
    t.match(await health(), { status: 'ok', feed: 'down', reason: /DATABASE_LISTEN_URL must lead directly/ })
    const warnings = sidecar.log.map(({ reason }) => String(reason))
    t.ok(
      warnings.some((text) => /DATABASE_LISTEN_URL.*pooler in transaction mode/.test(text)),
      'the log says so',
    )

    t.match((await client.set('a', 1)).body, { ok: true, db_written: true })
    for (let value = 2; value < 50; value++) {
      await database.query("update cache_entries set value = $1 where key = 'a'", [value])
      const { body } = await client.get('a')
      if (body.value !== String(value) || body.source !== 'db') t.fail(`${value}: ${JSON.stringify(body)}`)
    }
    t.match(await client.stats(), { size: 0, hits: 0 }, 'nothing is kept as fresh')
    t.match(await health(), { feed: 'down' })
  },
)

t.test(
  'PgBouncer in transaction mode works with a direct URL to listen',
  { skip: withoutPgBouncer },
  async (t) => {
    const database = await freshDatabase(t)
    const pooled = await startPgBouncer(t, { databaseUrl: database.url, mode: 'transaction' })
    const environment = { DATABASE_URL: pooled, DATABASE_LISTEN_URL: database.url, LOG_LEVEL: 'info' }
    const sidecars = await Promise.all([serve(t, environment), serve(t, environment)])
    await Promise.all(sidecars.map(untilLive))
    const clients = sidecars.map(({ client }) => client)
    const [one, other] = clients as [(typeof clients)[0], (typeof clients)[0]]

    t.match((await one.set('a', 'set')).body, { ok: true, db_written: true })
    for (const client of clients) t.equal(await client.held('a'), 'set')
    await database.query("update cache_entries set value = 'by SQL' where key = 'a'")
    for (const client of clients) await eventually(async () => (await client.value('a')) === 'by SQL')
    for (const client of clients) t.equal(await client.held('a'), 'by SQL')
    t.match((await one.delete('a')).body, { cache_removed: true, db_removed: true })
    await eventually(async () => (await other.value('a')) === undefined)

    // More at once than there are connections: every statement may run on another server connection.
    await Promise.all(
      Array.from({ length: 100 }, async (_, number) => {
        const client = clients[number % 2] as (typeof clients)[0]
        const answer = await client.set(`many ${number}`, number)
        t.match(answer.body, { ok: true, db_written: true })
        const query = `key=${encodeURIComponent(`many ${number}`)}`
        const hop = number % 2 === 0 ? other : one
        const token = encodeURIComponent(String(answer.body.token))
        for (const wish of ['consistency=strong', `token=${token}`]) {
          const { body } = await hop.request('GET', `/cache/get?${query}&${wish}`)
          t.equal(body.value, number, wish)
        }
      }),
    )
    for (const { client, log } of sidecars) {
      t.match((await client.stats()).feed, { state: 'live', losses: 0 })
      t.match((await client.request('GET', '/health')).body, { status: 'ok', feed: 'live' })
      t.ok(
        log.some(({ msg }) => /refuses statement_timeout and lock_timeout/.test(String(msg))),
        'what the pooler does not take is logged',
      )
    }
  },
)

t.test(
  'PgBouncer in session mode: its sessions listen as any other',
  { skip: withoutPgBouncer },
  async (t) => {
    const database = await freshDatabase(t)
    const pooled = await startPgBouncer(t, { databaseUrl: database.url, mode: 'session' })
    const sidecar = await serve(t, { DATABASE_URL: pooled })
    await untilLive(sidecar)
    await sidecar.client.set('a', 'before')
    t.equal(await sidecar.client.held('a'), 'before')
    await database.query("update cache_entries set value = 'after'")
    await eventually(async () => (await sidecar.client.value('a')) === 'after')
  },
)
