/** P12: the end of a row that had expired is not announced, and every other change is. */
import pg from 'pg'
import t from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { Announcements } from '../../support/announcements.js'
import { freshDatabase } from '../../support/database.js'

const database = await freshDatabase(t)
const { url, query } = database
await migrate(url)
const announced = await Announcements.of(t, database)

/** Returns the changes since the last call: `key` for a row that is there, `-key` for one that is gone. */
async function changes(): Promise<string[]> {
  const found = await announced.changes()
  return found
    .map((change) =>
      change.kind === 'key' ? `${change.version.startsWith('-') ? '-' : ''}${change.id}` : '*',
    )
    .sort()
}

async function insert(rows: Readonly<Record<string, string | null>>): Promise<void> {
  for (const [key, ago] of Object.entries(rows))
    await query("insert into cache_entries (key, value, expires_at) values ($1, 'x', now() - $2::interval)", [
      key,
      ago,
    ])
  await changes()
}

async function inTransaction(...statements: readonly string[]): Promise<void> {
  const session = new pg.Client({ connectionString: url })
  await session.connect()
  t.teardown(() => session.end())
  await session.query(`begin; ${statements.join('; ')}; commit`)
}

t.beforeEach(async () => {
  await query('truncate cache_entries')
  await changes()
})

t.test('of a DELETE, rows that had expired 10 seconds before are left out', async (t) => {
  await insert({
    never: null,
    later: '-1 hour',
    'just now': '5 seconds',
    past: '11 seconds',
    'long ago': '1 year',
  })
  await query("insert into cache_entries (key, value, expires_at) values ('always', 'x', '-infinity')")
  t.same(await changes(), ['always'], 'an INSERT is announced whatever its expiry')
  await query('delete from cache_entries')
  t.same(await changes(), ['-just now', '-later', '-never'])
})

t.test('a DELETE of nothing but expired rows sends no notification, however many they are', async (t) => {
  await query(
    `insert into cache_entries (key, value, expires_at)
     select 'k' || n, 'x', now() - interval '1 minute' from generate_series(1, 20000) as n`,
  )
  await changes()
  await query('delete from cache_entries')
  t.same(await announced.payloads(), [])
})

t.test('an expired row among many others changes nothing for them', async (t) => {
  await query(
    `insert into cache_entries (key, value, expires_at)
     select 'k' || n, 'x', case n when 1 then now() - interval '1 minute' end from generate_series(1, 10001) as n`,
  )
  await changes()
  await query('delete from cache_entries')
  t.equal((await changes()).length, 10_000)
})

t.test('a row that expires only after its transaction began is announced', async (t) => {
  // 1. The transaction begins.       3. By the clock, the row expired 10.1 s ago, by the beginning 9.9 s ago.
  // 2. It waits for 0.2 s.
  await inTransaction(
    "insert into cache_entries (key, value, expires_at) values ('k', 'x', now() - interval '9.9 s')",
    'select pg_sleep(0.2)',
    'delete from cache_entries',
  )
  t.same(await changes(), ['-k', 'k'])
})

t.test('a row that was written again after it had expired is announced when it is deleted', async (t) => {
  await insert({ set: '1 hour', updated: '1 hour', touched: '1 hour' })
  await query(
    "insert into cache_entries (key, value) values ('set', 'y') on conflict (key) do update set value = 'y', expires_at = default",
  )
  await query("update cache_entries set expires_at = null where key = 'updated'")
  await query("update cache_entries set expires_at = now() + interval '1 s' where key = 'touched'")
  t.same(await changes(), ['set', 'touched', 'updated'])
  await query('delete from cache_entries')
  t.same(await changes(), ['-set', '-touched', '-updated'])
})

t.test(
  'a row that SQL lets expire is announced by the UPDATE, even if a DELETE follows at once',
  async (t) => {
    await insert({ k: null })
    await inTransaction(
      "update cache_entries set expires_at = now() - interval '1 hour'",
      'delete from cache_entries',
    )
    t.same(await changes(), ['k'], 'with a version that nobody holds')
  },
)

t.test('a key that is inserted after the end of its expired row is announced', async (t) => {
  await insert({ k: '1 hour' })
  await inTransaction('delete from cache_entries', "insert into cache_entries (key, value) values ('k', 'y')")
  t.same(await changes(), ['k'])
})

t.test('rows applied by replication are judged in the same way', async (t) => {
  await insert({ never: null, past: '1 minute', 'just now': '1 second' })
  await inTransaction('set local session_replication_role = replica', 'delete from cache_entries')
  const found = await changes()
  t.ok(found.includes('-never') && found.includes('-just now'), found.join())
  t.notOk(found.includes('-past'))
})

t.test('columns of any name do not get in the way', async (t) => {
  await query('alter table cache_entries add column silent_before text, add column announcing text')
  t.teardown(() => query('alter table cache_entries drop column silent_before, drop column announcing'))
  await insert({ never: null, past: '1 minute' })
  await query('delete from cache_entries')
  t.same(await changes(), ['-never'])
})
