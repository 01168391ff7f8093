import pg from 'pg'
import t from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { bringBack, save } from '../../support/saved-entries.js'

const { url, query } = await cacheDatabase(t)
const other = new pg.Client({ connectionString: url })
await other.connect()
t.teardown(() => other.end())
// In a deadlock, the restore is the one that notices.
await other.query("set deadlock_timeout = '1h'")

/** Saves two entries, stored in the wrong order, and changes them. */
async function saved() {
  await query('delete from cache_entries')
  for (const key of ['b', 'a'])
    await query('insert into cache_entries (key, value) values ($1, $2)', [key, '1'])
  const saved = await save(url)
  await query("update cache_entries set value = '2'")
  return saved
}

function lock(key: string) {
  return other.query('select from cache_entries where key = $1 for update', [key])
}

function untilRestoreWaits() {
  return eventually(async () => {
    const { rows } = await query(
      `select from pg_stat_activity
       where datname = current_database() and application_name = 'caching-layer restore' and wait_event_type = 'Lock'`,
    )
    return rows.length > 0
  })
}

t.test('rows are locked in the order of their keys', async (t) => {
  const entries = await saved()
  await other.query('begin')
  await lock('a')
  const restoring = bringBack(url, entries, 'merge')
  await untilRestoreWaits()
  await lock('b')
  await other.query('commit')
  t.match(await restoring, { updated: 2 })
})

t.test('a deadlock changes nothing, and is reported in one line', async (t) => {
  const entries = await saved()
  await other.query('begin')
  await lock('b')
  const restoring = bringBack(url, entries, 'merge').catch((error: unknown) => error)
  await untilRestoreWaits()
  const locked = lock('a')
  t.match(await restoring, {
    message: 'another session holds a lock on the entries; nothing was changed: try again',
  })
  await locked
  await other.query('commit')
  const { rows } = await query<{ value: string }>('select distinct value from cache_entries')
  t.strictSame(rows, [{ value: '2' }])
})
