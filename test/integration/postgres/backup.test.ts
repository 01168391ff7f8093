import fc from 'fast-check'
import pg from 'pg'
import t from 'tap'
import { copyOut } from '../../../src/postgres/bulk/copy-out.js'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { Announcements } from '../../support/announcements.js'
import { cacheDatabase, freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { joined } from '../../support/pieces.js'
import {
  bringBack,
  entriesIn,
  type SavedEntries,
  save,
  savedAndChanged,
  versionsIn,
} from '../../support/saved-entries.js'

const database = await freshDatabase(t)
const { url, query } = database
await migrate(url)
const announced = await Announcements.of(t, database)

t.test('replace: the table equals the backup, and equal rows are not touched', async (t) => {
  const saved = await savedAndChanged(database, announced)
  const before = await versionsIn(database)
  const counts = { inserted: 1, updated: 1, deleted: 1, unchanged: 2, expired: 0 }
  t.strictSame(await bringBack(url, saved, 'replace'), counts)
  t.strictSame(await entriesIn(database), [
    { key: 'a', value: 'same', content_type: null, expires_at: null, updated_at: '2020-01-01 00:00:00' },
    {
      key: 'b',
      value: '1',
      content_type: 'application/json',
      expires_at: '2100-01-01 00:00:00',
      updated_at: '2020-01-02 00:00:00',
    },
    {
      key: 'c',
      value: 'saved',
      content_type: null,
      expires_at: '2100-01-02 00:00:00',
      updated_at: '2020-01-03 00:00:00',
    },
    {
      key: 'd',
      value: '{"saved":1}',
      content_type: 'application/json',
      expires_at: null,
      updated_at: '2020-01-04 00:00:00',
    },
  ])
  const after = await versionsIn(database)
  t.strictSame([after.a, after.b], [before.a, before.b])
  const highest = Math.max(...Object.values(before).map(Number))
  t.ok(Number(after.c) > highest && Number(after.d) > highest, 'a change has a version of its own')
  t.strictSame(await announced.ids(), ['c', 'd', 'e'])
  t.match(await bringBack(url, saved, 'replace'), { inserted: 0, updated: 0, deleted: 0, unchanged: 4 })
  t.strictSame(await versionsIn(database), after)
  t.strictSame(await announced.ids(), [])
})

t.test('merge: nothing is deleted', async (t) => {
  const saved = await savedAndChanged(database, announced)
  t.match(await bringBack(url, saved, 'merge'), { inserted: 1, updated: 1, deleted: 0, unchanged: 2 })
  t.strictSame(await announced.ids(), ['c', 'd'])
  const { rows } = await query('select key, value from cache_entries order by key')
  t.strictSame(
    rows.map(({ value }) => value),
    ['same', '1', 'saved', '{"saved":1}', 'new'],
  )
})

t.test('missing: no row is changed except expired ones', async (t) => {
  const saved = await savedAndChanged(database, announced)
  await query("update cache_entries set value = 'old', expires_at = now() - interval '1 s' where key = 'a'")
  await announced.payloads()
  t.match(await bringBack(url, saved, 'missing'), { inserted: 1, updated: 1, deleted: 0, unchanged: 2 })
  t.strictSame(await announced.ids(), ['a', 'd'])
  const { rows } = await query('select value, expires_at is null as stays from cache_entries order by key')
  t.strictSame(
    rows.map(({ value }) => value),
    ['same', '1', 'changed', '{"saved":1}', 'new'],
  )
  t.equal(rows[0]?.stays, true, 'with the expiry of the backup')
})

t.test('expired rows are left out, by the backup and by the restore', async (t) => {
  await query('delete from cache_entries')
  await query(`insert into cache_entries (key, value, expires_at) values
    ('gone', '1', now() - interval '1 ms'), ('soon', '1', '2100-01-01'), ('stays', '1', 'infinity')`)
  const saved = await save(url)
  t.notMatch(saved.entries.toString(), 'gone')
  const later = { ...saved, entries: Buffer.from(saved.entries.toString().replace('2100', '2020')) }
  t.match(await bringBack(url, later, 'replace'), { deleted: 2, unchanged: 1, expired: 1 })
  t.strictSame(Object.keys(await versionsIn(database)), ['stays'])
})

t.test('any value is restored unchanged', async (t) => {
  const other = await cacheDatabase(t)
  const nasty = fc.constantFrom(
    '\n',
    '\r',
    '\t',
    '\\',
    '\\.',
    '\\N',
    "'",
    '"',
    ',',
    '\b',
    '\v',
    '\u2028',
    '😀',
  )
  const text = fc
    .array(fc.oneof(nasty, fc.string({ unit: 'binary' }), fc.string()), { maxLength: 6 })
    // PostgreSQL has no such character.
    .map((parts) => parts.join('').replaceAll('\0', ''))
  const entry = fc.record({
    key: text.filter((key) => key !== ''),
    value: text,
    content_type: fc.option(fc.oneof(fc.constant('application/json'), text)),
    expires_at: fc.option(fc.constantFrom('2100-01-01 00:00:00.123456', 'infinity')),
    updated_at: fc.constantFrom('2020-02-29 23:59:59.999999', '1970-01-01 00:00:00'),
  })
  const entries = fc.uniqueArray(entry, { selector: ({ key }) => key, maxLength: 30 })
  const inOrder = <Entry extends { key?: string | null }>(some: readonly Entry[]) =>
    Object.fromEntries(some.map((one) => [one.key, { ...one }]))
  await fc.assert(
    fc.asyncProperty(entries, async (entries) => {
      await other.query('delete from cache_entries')
      await other.query(
        `insert into cache_entries (key, value, content_type, expires_at, updated_at)
         select key, value, content_type, expires_at::timestamp at time zone 'UTC', updated_at::timestamp
         from json_to_recordset($1) as given (key text, value text, content_type text, expires_at text, updated_at text)`,
        [JSON.stringify(entries)],
      )
      t.match(await bringBack(url, await save(other.url), 'replace'), { expired: 0 })
      t.strictSame(inOrder(await entriesIn(database)), inOrder(entries))
    }),
    { numRuns: 60 },
  )
})

t.test('rows of the original service are backed up and restored', async (t) => {
  const original = await freshDatabase(t)
  await original.query(
    'create table cache_entries (key text primary key, value text not null, updated_at timestamp not null default now())',
  )
  await original.query(
    "insert into cache_entries values ('old', 'from Python', '2019-01-01'), ('e', E'\\\\x', '2019-01-02')",
  )
  await t.rejects(save(original.url), { message: 'the table is not set up: run "caching-layer migrate"' })
  await migrate(original.url)
  const saved = await save(original.url)
  t.match(await bringBack(url, saved, 'replace'), { unchanged: 0 })
  t.match(await entriesIn(database), [
    { key: 'e', value: '\\x', updated_at: '2019-01-02 00:00:00', content_type: null },
    { key: 'old', value: 'from Python' },
  ])
  t.notOk(Object.values(await versionsIn(database)).includes('0'), 'with versions of this table')
})

t.test('a backup is a snapshot, without later changes', async (t) => {
  await query('delete from cache_entries')
  await query(
    "insert into cache_entries (key, value) select 'k' || n, repeat('x', 1000) from generate_series(1, 5000) n",
  )
  const saved = await copyOut(
    { url, stop: new AbortController().signal },
    async ({ columns, entries }): Promise<SavedEntries> => {
      // Far more than fits into buffers between here and there.
      await query("update cache_entries set value = 'changed'")
      return { columns, entries: await joined(entries) }
    },
  )
  t.notMatch(saved.entries.toString(), 'changed')
  t.equal(saved.entries.toString().split('\n').length - 1, 5_000)
})

t.test('added columns are restored, in any order', async (t) => {
  const [one, other] = [await freshDatabase(t), await freshDatabase(t)]
  for (const { url, query } of [one, other]) {
    await migrate(url)
    await query('alter table cache_entries add column "a ""b"" c" integer')
  }
  await other.query('alter table cache_entries drop column content_type cascade')
  await other.query('alter table cache_entries add column content_type text')
  await other.query(
    'create trigger cache_entries_1_content_type before update of content_type on cache_entries for each row execute function cache_note_content_type()',
  )
  await other.query('alter table cache_entries enable always trigger cache_entries_1_content_type')
  await one.query(
    `insert into cache_entries (key, value, content_type, "a ""b"" c") values ('k', '1', 'application/json', 5)`,
  )
  await bringBack(other.url, await save(one.url), 'replace')
  const { rows } = await other.query('select * from cache_entries')
  t.match(rows, [{ key: 'k', value: '1', content_type: 'application/json', 'a "b" c': 5 }])
})

t.test('statement_timeout and datestyle of the database do not matter', async (t) => {
  const other = await cacheDatabase(t)
  const saved = await savedAndChanged(database, announced)
  for (const setting of [
    "statement_timeout = '300ms'",
    "datestyle = 'SQL, DMY'",
    "timezone = 'Asia/Kathmandu'",
  ])
    await database.query(`alter database ${other.name} set ${setting}`)
  const entries = (async function* () {
    await database.query('select pg_sleep(0.4)')
    yield saved.entries
  })()
  t.match(await bringBack(other.url, saved, 'merge', { entries }), { inserted: 4 })
  const again = await save(other.url)
  t.strictSame(again.columns, saved.columns)
  const sorted = (lines: Buffer) => lines.toString().split('\n').sort()
  t.strictSame(sorted(again.entries), sorted(saved.entries))
})

t.test('a trigger of the owner finds its names as in any session', async (t) => {
  await query('delete from cache_entries')
  await query("insert into cache_entries (key, value) values ('a', '1')")
  const saved = await save(url)
  await query('delete from cache_entries')
  await query(`
    create table notes (key text);
    create function note() returns trigger language plpgsql as $$begin insert into notes values (new.key); return new; end$$;
    create trigger note before insert on cache_entries for each row execute function note()`)
  t.teardown(() => query('drop function note() cascade; drop table notes'))
  t.match(await bringBack(url, saved, 'merge'), { inserted: 1 })
  t.strictSame((await query('select key from notes')).rows, [{ key: 'a' }])
})

t.test('more than 10,000 changes are announced as one', async (t) => {
  const many = await cacheDatabase(t)
  await many.query(
    "insert into cache_entries (key, value) select 'k' || n, 'v' from generate_series(1, 10001) n",
  )
  const saved = await save(many.url)
  await many.query('delete from cache_entries')
  const heard = await Announcements.of(t, many)
  t.match(await bringBack(many.url, saved, 'merge'), { inserted: 10_001 })
  t.strictSame(await heard.payloads(), ['*'])
})

for (const [mode, what] of [
  ['replace', 'it is deleted'],
  ['missing', 'it stays as it is'],
] as const)
  t.test(`${mode}, while another client inserts: ${what}`, async (t) => {
    const saved = await savedAndChanged(database, announced)
    const other = new pg.Client({ connectionString: url })
    await other.connect()
    t.teardown(() => other.end())
    await other.query("begin; insert into cache_entries (key, value) values ('d', 'theirs'), ('f', 'theirs')")
    const restoring = bringBack(url, saved, mode)
    const waiting = eventually(async () => {
      const { rows } = await query("select from pg_stat_activity where wait_event_type = 'Lock'")
      return rows.length > 0
    })
    await Promise.race([restoring, waiting])
    await other.query('commit')
    await restoring
    const { rows } = await query("select key, value from cache_entries where key in ('d', 'f') order by key")
    t.strictSame(
      rows.map(({ key, value }) => [key, value]),
      mode === 'replace'
        ? [['d', '{"saved":1}']]
        : [
            ['d', 'theirs'],
            ['f', 'theirs'],
          ],
    )
  })
