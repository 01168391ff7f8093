import t, { type Test } from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { Announcements } from '../../support/announcements.js'
import { cacheDatabase, freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { guestOf } from '../../support/guest.js'
import { pieces } from '../../support/pieces.js'
import { bringBack, entriesIn, save, savedAndChanged, versionsIn } from '../../support/saved-entries.js'

const database = await freshDatabase(t)
const { url, query } = database
await migrate(url)
const announced = await Announcements.of(t, database)

/** Checks that the restore rejects with this error, and that nothing was changed or announced. */
async function changesNothing(t: Test, restoring: () => Promise<unknown>, message: string | RegExp) {
  const before = [await entriesIn(database), await versionsIn(database)]
  await announced.payloads()
  await t.rejects(restoring(), { message })
  t.strictSame([await entriesIn(database), await versionsIn(database)], before)
  t.strictSame(await announced.payloads(), [])
  await eventually(async () => {
    const { rows } = await query(
      "select from pg_stat_activity where application_name like 'caching-layer%' and datname = current_database()",
    )
    return rows.length === 0
  })
}

t.test('entries that end in an error change nothing', async (t) => {
  const saved = await savedAndChanged(database, announced)
  for (const after of [0, 1, 50, saved.entries.length]) {
    const entries = (async function* () {
      yield* pieces(saved.entries.subarray(0, after), 10)
      throw new Error('the backup is truncated')
    })()
    await changesNothing(t, () => bringBack(url, saved, 'replace', { entries }), 'the backup is truncated')
  }
})

t.test('entries that the table refuses change nothing', async (t) => {
  const saved = await savedAndChanged(database, announced)
  const wrong: readonly (readonly [entries: string, message: RegExp])[] = [
    ['k\tv\n', /^missing data for column/],
    ['k\tv\tno time\t\\N\t\\N\t\\N\n', /^invalid input syntax for type timestamp/],
    ['k\t\\N\t2020-01-01\t\\N\t\\N\t\\N\n', /^null value in column "value"/],
    ['k\t1\t2020-01-01\t\\N\t\\N\t\\N\nk\t2\t2020-01-01\t\\N\t\\N\t\\N\n', /cannot affect row a second time/],
    [`${'x'.repeat(3_000_000)}\n${'y\tz\n'.repeat(300_000)}`, /^missing data for column/],
  ]
  for (const [text, message] of wrong)
    await changesNothing(t, () => bringBack(url, { ...saved, entries: Buffer.from(text) }, 'merge'), message)
})

t.test('a restore can be stopped', async (t) => {
  const saved = await savedAndChanged(database, announced)
  const stopped = 'stopped; nothing was changed'
  await t.test('before it begins', async (t) => {
    await changesNothing(t, () => bringBack(url, saved, 'replace', { stop: AbortSignal.abort() }), stopped)
    await t.rejects(save(url, AbortSignal.abort()), { message: stopped })
  })
  await t.test('while entries arrive', async (t) => {
    const stop = new AbortController()
    const entries = (async function* () {
      yield saved.entries.subarray(0, 20)
      await eventually(async () => {
        const { rows } = await query(
          "select from pg_stat_activity where query like 'copy pg_temp.cache_restore%'",
        )
        return rows.length > 0
      })
      stop.abort()
      yield saved.entries.subarray(20)
    })()
    await changesNothing(t, () => bringBack(url, saved, 'replace', { entries, stop: stop.signal }), stopped)
  })
  await t.test('while it writes to the table', async (t) => {
    // Longer than anybody waits here, so that the server ends it only because it was told to.
    await query(
      `create function sleep() returns trigger language plpgsql as 'begin perform pg_sleep(60); return new; end';
       create trigger sleep before update on cache_entries for each row execute function sleep()`,
    )
    const stop = new AbortController()
    const waiting = eventually(async () => {
      const { rows } = await query(
        "select from pg_stat_activity where wait_event = 'PgSleep' and query like '%cache_restore%'",
      )
      return rows.length > 0
    })
    const restoring = async () => {
      const restored = bringBack(url, saved, 'merge', { stop: stop.signal })
      await waiting
      stop.abort()
      return restored
    }
    await changesNothing(t, restoring, stopped)
    await query('drop trigger sleep on cache_entries; drop function sleep()')
  })
})

t.test('a table of another release is refused', async (t) => {
  const saved = await savedAndChanged(database, announced)
  const [{ columns }, more] = [saved, { name: 'flavour', type: 'text' }]
  const withoutExpiry = columns.filter(({ name }) => name !== 'expires_at')
  await changesNothing(
    t,
    () => bringBack(url, { ...saved, columns: [...columns, more] }, 'merge'),
    'the table is older than the backup: it lacks flavour (text); run "caching-layer migrate"',
  )
  await changesNothing(
    t,
    () => bringBack(url, { ...saved, columns: withoutExpiry }, 'merge'),
    /^the table is newer than the backup, which lacks expires_at \(timestamp with time zone\): /,
  )
  await changesNothing(
    t,
    () => bringBack(url, { ...saved, columns: [...withoutExpiry, more] }, 'merge'),
    'the backup has flavour (text), where the table has expires_at (timestamp with time zone)',
  )
  await changesNothing(
    t,
    () => bringBack(url, { ...saved, columns: [...columns, ...columns] }, 'merge'),
    'the backup names a column twice',
  )
})

t.test('a backup of a release without groups is restored', async (t) => {
  const { columns } = await savedAndChanged(database, announced)
  const earlier = columns.filter(({ name }) => name !== 'groups')
  const entries = Buffer.from('from before\tv\t2020-01-01\t\\N\t\\N\n')
  await bringBack(url, { columns: earlier, entries }, 'merge')
  t.same((await query("select value, groups from cache_entries where key = 'from before'")).rows, [
    { value: 'v', groups: null },
  ])
})

t.test('missing rights are named', async (t) => {
  const saved = await savedAndChanged(database, announced)
  const guarded = await cacheDatabase(t)
  const guest = await guestOf(t, await freshDatabase(t))
  const as = Object.assign(new URL(guarded.url), {
    username: guest.name,
    password: new URL(guest.url).password,
  }).href
  const { query } = guarded
  await query(`revoke temporary on database ${guarded.name} from public`)
  await query(`grant select, insert on cache_entries to ${guest.name}`)
  t.match(await save(as), { entries: Buffer.alloc(0) }, 'to read is enough for a backup')
  await t.rejects(bringBack(as, saved, 'replace'), {
    message: `the database role "${guest.name}" needs the right UPDATE on table cache_entries, DELETE on table cache_entries, TEMPORARY on database ${guarded.name}`,
  })
  await query(`grant update on cache_entries to ${guest.name}`)
  await query(`grant temporary on database ${guarded.name} to ${guest.name}`)
  t.match(await bringBack(as, saved, 'merge'), { inserted: 4 })
  await t.rejects(bringBack(as, saved, 'replace'), { message: /needs the right DELETE on table/ })
  await query(`grant delete on cache_entries to ${guest.name}`)
  t.match(await bringBack(as, saved, 'replace'), { unchanged: 4 })

  await query('alter table cache_entries enable row level security')
  await t.rejects(save(as), { message: /row-level security/ }, 'a part of the rows is no backup')
  await query(`drop owned by ${guest.name}`)
})

t.test('a table without its triggers is refused', async (t) => {
  const saved = await savedAndChanged(database, announced)
  await query('alter table cache_entries disable trigger cache_entries_3_updated')
  await changesNothing(
    t,
    () => bringBack(url, saved, 'merge'),
    /^changes are not announced: trigger cache_entries_3_updated/,
  )
  await query('alter table cache_entries enable always trigger cache_entries_3_updated')
  const empty = await freshDatabase(t)
  await t.rejects(bringBack(empty.url, saved, 'merge'), {
    message: /^there is no table "public"\.cache_entries: run/,
  })
})
