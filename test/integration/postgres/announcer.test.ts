import t, { type Test } from 'tap'
import { cacheDatabase, type FreshDatabase, freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { blamed } from '../../support/feed-reason.js'
import type { JsonClient } from '../../support/json-client.js'
import { startRecordedFeed } from '../../support/recorded-feed.js'
import { type StartedSidecar, startLiveSidecar, startSidecar } from '../../support/sidecar.js'

/** Faults of the triggers that announce changes, and of the trigger that sets versions, without which none is new. */
const faults = [
  'disable trigger cache_entries_3_updated',
  'enable trigger cache_entries_3_deleted',
  'enable replica trigger cache_entries_3_inserted',
  'disable trigger cache_entries_2_stamp',
  'disable trigger cache_entries_4_replicated',
]

const cure = `alter table cache_entries
  enable always trigger cache_entries_2_stamp,
  enable always trigger cache_entries_3_inserted,
  enable always trigger cache_entries_3_updated,
  enable always trigger cache_entries_3_deleted,
  enable replica trigger cache_entries_4_replicated`

async function health(client: JsonClient): Promise<Readonly<Record<string, unknown>>> {
  return (await client.request('GET', '/health')).body
}

/** Checks that the log names the trigger and the cure, and that `GET /health` names no trigger. */
async function blames(t: Test, sidecar: StartedSidecar, fault: string): Promise<void> {
  const trigger = /cache_entries_\d_\w+/.exec(fault)?.[0] as string
  const cure = /able /.test(fault)
    ? 'alter table \\S+ enable (always|replica) trigger'
    : 'run "caching-layer migrate"'
  await blamed(t, sidecar, new RegExp(`^changes are not announced: .*${trigger}.*${cure}`))
  const { status, reason } = await health(sidecar.client)
  t.match({ status, reason }, { status: 'ok', reason: /^changes are not announced: a trigger is/ })
}

/** Reads go to the database, and nothing is put. */
async function bypasses(t: Test, { query }: FreshDatabase, client: JsonClient): Promise<void> {
  for (const value of ['one', 'two']) {
    await query("update cache_entries set value = $1 where key = 'a'", [value])
    t.strictSame((await client.get('a')).body, { key: 'a', value, source: 'db' })
  }
}

for (const fault of faults) {
  t.test(`${fault}, at the start`, async (t) => {
    const database = await cacheDatabase(t)
    await database.query("insert into cache_entries (key, value) values ('a', 'zero')")
    await database.query(`alter table cache_entries ${fault}`)
    const sidecar = await startSidecar(t, { databaseUrl: database.url })
    const { client } = sidecar
    await blames(t, sidecar, fault)
    await bypasses(t, database, client)
    await database.query(cure)
    await eventually(async () => (await client.stats()).feed.state === 'live')
    t.equal((await health(client)).reason, undefined)
    t.equal(await client.held('a'), 'two')
  })
}

t.test('a missing trigger is created at the start if the sidecar may migrate', async (t) => {
  const database = await cacheDatabase(t)
  await database.query('drop trigger cache_entries_3_updated on cache_entries')
  const { log } = await startLiveSidecar(t, { databaseUrl: database.url })
  t.ok(log.some((line) => line.includes('migrations applied')))
  const next = await startLiveSidecar(t, { databaseUrl: database.url })
  t.notOk(
    next.log.some((line) => line.includes('migrations applied')),
    'nothing is left to apply',
  )
})

t.test('a missing trigger is reported at the start if the sidecar may not migrate', async (t) => {
  const database = await cacheDatabase(t)
  await database.query("insert into cache_entries (key, value) values ('a', 'zero')")
  await database.query('drop trigger cache_entries_3_updated on cache_entries')
  const sidecar = await startSidecar(t, { databaseUrl: database.url, migrate: false })
  await blames(t, sidecar, 'cache_entries_3_updated')
  await bypasses(t, database, sidecar.client)
})

for (const fault of [
  'alter table cache_entries disable trigger cache_entries_3_updated',
  'drop trigger cache_entries_3_updated on cache_entries',
]) {
  t.test(`${fault}, while running: a write by the sidecar notices it`, async (t) => {
    const database = await freshDatabase(t)
    const sidecar = await startLiveSidecar(t, { databaseUrl: database.url, maxStalenessMs: 1_000 })
    const { client } = sidecar
    await client.set('a', 'before')
    await client.held('a')
    await database.query(fault)
    t.match((await client.set('a', 'own')).body, { ok: true, db_written: true })
    const writtenMs = performance.now()
    await eventually(async () => (await client.stats()).feed.losses > 0)
    t.ok(performance.now() - writtenMs < 1_500, 'within two probes')
    await blames(t, sidecar, fault)
    await eventually(async () => (await client.get('a')).body.source === 'db')
    await bypasses(t, database, client)
  })
}

t.test('a trigger that is dropped is noticed within a minute, even without writes', async (t) => {
  const database = await cacheDatabase(t)
  const { told, pass } = await startRecordedFeed(t, database)
  t.strictSame(told, ['listening'])
  await database.query('alter table cache_entries disable trigger cache_entries_3_updated')
  pass(60_000)
  await eventually(() => told.some((word) => word.includes('cache_entries_3_updated is not enabled')))
  await database.query(cure)
  await eventually(() => told.at(-1) === 'listening')
})
