/** A check that depends on something that is not in order is skipped: what it found would only mislead. */
import t from 'tap'
import { examine } from '../../../src/tools/doctor/doctor.js'
import { cacheDatabase, freshDatabase } from '../../support/database.js'
import { guestOf } from '../../support/guest.js'

/** Returns the checks that were skipped, each with the one that has to be fixed first. */
async function skippedOn(url: string, listenUrl = url): Promise<Readonly<Record<string, string>>> {
  const skipped: Record<string, string> = {}
  for await (const { check, level, says } of examine({
    databaseUrl: url,
    databaseListenUrl: listenUrl,
    databaseReadUrls: [url],
    databasePoolSize: 2,
    databaseTimeoutMs: 2_000,
    maxStalenessMs: 3_000,
    sidecars: undefined,
    now: Date.now,
  }))
    if (level === 'skipped') skipped[check] = /^not checked until "(.*)" is fixed$/.exec(says)?.[1] ?? says
  return skipped
}

/** Returns these checks as skipped because of one. */
const allFor = (cause: string, ...checks: readonly string[]) =>
  Object.fromEntries(checks.map((check) => [check, cause]))

t.test('without a proper table, nothing that reads it is checked', async (t) => {
  const { url, query } = await freshDatabase(t)
  await query('create view cache_entries as select 1 as key')
  t.strictSame(
    await skippedOn(url),
    allFor(
      'table',
      ...['migrations', 'schema', 'triggers', 'rights', 'bindings', 'history', 'probe row'],
      ...['row-level security', 'LISTEN', 'replica 1'],
    ),
  )
})

t.test('without the migrations, nothing that they create is checked', async (t) => {
  const { url, query } = await cacheDatabase(t)
  await query("delete from cache_migrations where name like '0003%'")
  t.strictSame(
    await skippedOn(url),
    allFor(
      'migrations',
      ...['triggers', 'rights', 'bindings', 'history', 'probe row'],
      ...['row-level security', 'LISTEN', 'replica 1'],
    ),
  )
})

t.test('without its triggers, no write is tried and no notification awaited', async (t) => {
  const { url, query } = await cacheDatabase(t)
  await query('alter table cache_entries disable trigger cache_entries_3_inserted')
  t.strictSame(await skippedOn(url), {
    ...allFor('triggers', 'probe row', 'LISTEN'),
    'row-level security': 'probe row',
  })
})

t.test('without its rights, the role is not tried out', async (t) => {
  const database = await cacheDatabase(t)
  const { name, url } = await guestOf(t, database)
  await database.query(`grant select on cache_migrations to ${name}`)
  t.strictSame(await skippedOn(url, url), {
    ...allFor('rights', 'bindings', 'history', 'probe row', 'LISTEN', 'replica 1'),
    'row-level security': 'probe row',
  })
})

t.test('without more connections, nothing that needs a second one is checked', async (t) => {
  const database = await cacheDatabase(t)
  const { name, url } = await guestOf(t, database)
  await database.query(`grant all on all tables in schema public to ${name}`)
  await database.query(`grant all on all sequences in schema public to ${name}`)
  await database.query(`alter role ${name} connection limit 1`)
  t.strictSame(await skippedOn(url), {
    'more connections': 'connections',
    ...allFor('more connections', 'DATABASE_URL', 'migrations', 'triggers', 'LISTEN', 'replica 1'),
    ...allFor('migrations', 'rights', 'bindings', 'history', 'probe row', 'row-level security'),
  })
})

t.test('a database that only accepts reads is not written to', async (t) => {
  const { url } = await cacheDatabase(t)
  const readOnly = `${url}?options=-c%20default_transaction_read_only%3Don`
  t.strictSame(await skippedOn(readOnly, url), {
    'probe row': 'read-only',
    'row-level security': 'probe row',
  })
})
