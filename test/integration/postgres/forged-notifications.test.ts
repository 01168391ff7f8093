/** Tests of forged notifications. Any role may send them on the sidecars' channel. They may cost time, nothing else. */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { type FreshDatabase, freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { guestOf } from '../../support/guest.js'
import { startLiveSidecar } from '../../support/sidecar.js'

/** Sends a notification on the channel of changes, as a role that has no right to the table. */
async function forgerIn(
  t: Test,
  { url, query }: FreshDatabase,
): Promise<(payload: string) => Promise<unknown>> {
  const { rows } = await query<{ channel: string }>(
    "select cache_channel('public', 'cache_entries') as channel",
  )
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  t.teardown(() => client.end())
  await client.query('set role pg_monitor')
  return (payload) => client.query('select pg_notify($1, $2)', [rows[0]?.channel, payload])
}

t.test('endless notifications that name no change do not stop the lease or the hits', async (t) => {
  const database = await freshDatabase(t)
  // So many that a comparison takes longer than the pause between two notifications.
  const entries = 30_000
  await migrate(database.url)
  await database.query(
    `insert into cache_entries (key, value) select 'k' || n, 'v' from generate_series(1, ${entries}) as n`,
  )
  const { client } = await startLiveSidecar(t, {
    databaseUrl: database.url,
    capacity: entries,
    warm: { kind: 'recent', count: entries },
  })
  await eventually(async () => (await client.stats()).size === entries, { withinMs: 60_000 })
  const forge = await forgerIn(t, database)

  let isOver = false
  const forging = (async () => {
    while (!isOver) {
      await forge('forged!')
      await sleep(50)
    }
  })()
  let [renewals, before, hits] = [0, Number.POSITIVE_INFINITY, 0]
  try {
    await eventually(
      async () => {
        const ageMs = (await client.stats()).feed.lease_age_ms ?? Number.POSITIVE_INFINITY
        if (ageMs < before) renewals++
        before = ageMs
        if ((await client.get('k1')).body.source === 'cache') hits++
        return renewals >= 5
      },
      { withinMs: 60_000 },
    )
  } finally {
    isOver = true
    await forging
  }
  t.ok(hits > 0, `${hits} hits meanwhile`)
  await eventually(async () => (await client.stats()).feed.state === 'live')
  t.equal(await client.held('k1'), 'v', 'and it comes to rest')
})

t.test('a forged future version does not let a pending write overwrite anything', async (t) => {
  const database = await freshDatabase(t)
  const guest = await guestOf(t, database)
  const { client } = await startLiveSidecar(t, { databaseUrl: guest.url })
  const forge = await forgerIn(t, database)
  await database.query("insert into cache_entries (key, value) values ('k', 'before')")
  await forge('["another","9000000000000000000"]')
  await eventually(async () => (await client.stats()).changes_applied >= 2, { withinMs: 20_000 })
  await guest.shutOut()
  await eventually(async () => (await client.set('k', 'kept')).body.db_written === false)
  await database.query("update cache_entries set value = 'acknowledged meanwhile'")
  await guest.letIn()
  await eventually(async () => (await client.stats()).writes.pending_conflicts === 1, { withinMs: 60_000 })
  const { rows } = await database.query('select value from cache_entries')
  t.same(rows, [{ value: 'acknowledged meanwhile' }])
})
