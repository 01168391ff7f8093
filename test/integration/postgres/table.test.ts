/** Tests of the table of entries: its schema, its required form, and triggers and rules of others on it. */
import pg from 'pg'
import t from 'tap'
import { entryColumns } from '../../../src/postgres/schema/entry-columns.js'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { migrationFiles } from '../../../src/postgres/schema/migration-files.js'
import { cacheDatabase, freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { blamed } from '../../support/feed-reason.js'
import { injectingProxyTo } from '../../support/injecting-proxy.js'
import type { JsonClient } from '../../support/json-client.js'
import { startLiveSidecar, startSidecar } from '../../support/sidecar.js'

const strong = async (client: JsonClient, key: string) =>
  (await client.request('GET', `/cache/get?key=${key}&consistency=strong`)).body

const on = `alter table cache_entries
  enable always trigger cache_entries_1_content_type, enable always trigger cache_entries_2_stamp,
  enable always trigger cache_entries_3_inserted, enable always trigger cache_entries_3_updated,
  enable always trigger cache_entries_3_deleted, enable always trigger cache_entries_3_truncated,
  enable replica trigger cache_entries_4_replicated`

t.test('the list of columns is what the migrations create', async (t) => {
  const { query } = await cacheDatabase(t)
  const { rows } = await query<{ name: string; type: string }>(
    `select attname as name, atttypid::regtype::text as type from pg_attribute
     where attrelid = 'cache_entries'::regclass and attnum > 0 order by attnum`,
  )
  const { rows: listed } = await query<{ name: string; type: string }>(
    'select name, type::regtype::text as type from unnest($1::text[], $2::text[]) as listed (name, type)',
    [
      [...entryColumns.keys()],
      [...entryColumns.values()].map(({ added, original }) => added ?? original.split(' ')[0]),
    ],
  )
  t.same(listed, rows)
})

// --- Values that change without a version ---

for (const [what, statements] of Object.entries({
  'triggers off, update, triggers on': [
    'begin',
    'alter table cache_entries disable trigger user',
    "update cache_entries set value = 'after'",
    on,
    'commit',
  ],
  'alter column ... using': ["alter table cache_entries alter column value type text using 'after'"],
})) {
  t.test(`${what}: the next probe notices, and a strong read is right at once`, async (t) => {
    const { url, query } = await cacheDatabase(t)
    const { client } = await startLiveSidecar(t, { databaseUrl: url })
    for (const key of ['a', 'b']) {
      await client.set(key, 'before')
      t.equal(await client.held(key), 'before')
    }
    await query(statements.join(';'))
    t.equal((await strong(client, 'a')).value, 'after')
    await eventually(async () => (await client.value('b')) === 'after')
    t.equal(await client.held('b'), 'after')
    t.equal((await client.stats()).feed.flushes, 1)
  })
}

t.test(
  'the table is moved to another schema: it is looked for anew, and migrate moves the rest',
  async (t) => {
    const { url, query } = await cacheDatabase(t)
    await query('create schema app')
    const withPath = Object.assign(new URL(url), { search: '?options=-csearch_path%3Dpublic,app' }).href
    const sidecar = await startLiveSidecar(t, {
      databaseUrl: withPath,
      migrate: false,
      maxStalenessMs: 1_000,
    })
    const { client } = sidecar
    await client.set('a', 'before')
    t.equal(await client.held('a'), 'before')
    await query('alter table cache_entries set schema app')
    await blamed(
      t,
      sidecar,
      /was moved away from its functions.*caching-layer migrate/,
      /caching-layer migrate/,
    )
    await query("update app.cache_entries set value = 'after'")
    t.strictSame(
      await migrate(withPath),
      (await migrationFiles()).map(({ name }) => name),
      'applied again, next to the table',
    )
    t.same(await migrate(withPath), [])
    await eventually(async () => (await client.stats()).feed.state === 'live')
    t.equal(await client.held('a'), 'after')
    await query("update app.cache_entries set value = 'again'")
    await eventually(async () => (await client.value('a')) === 'again')
    t.match((await client.set('b', 1)).body, { db_written: true })
  },
)

t.test('after a rename of the schema, writers and a sidecar that finds it continue', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const withPath = Object.assign(new URL(url), { search: '?options=-csearch_path%3Dapp,public' }).href
  const { client } = await startLiveSidecar(t, {
    databaseUrl: withPath,
    migrate: false,
    maxStalenessMs: 1_000,
  })
  await client.set('a', 'before')
  await query('alter schema public rename to app')
  await query("insert into app.cache_entries (key, value) values ('sql', 'x')")
  await query("update app.cache_entries set value = 'after'")
  await eventually(async () => (await client.value('a')) === 'after')
  t.match((await client.set('b', 1)).body, { db_written: true })
  await eventually(async () => (await client.stats()).feed.state === 'live')
})

t.test('a search_path without a schema is reported', async (t) => {
  const { url } = await freshDatabase(t)
  const nowhere = Object.assign(new URL(url), { search: '?options=-csearch_path%3Dnowhere' }).href
  await t.rejects(migrate(nowhere), { message: /search_path names no schema that exists/ })
  const sidecar = await startSidecar(t, { databaseUrl: nowhere, migrate: false })
  await blamed(t, sidecar, /^the search_path \(nowhere\) names no schema/)
})

t.test('a SET search_path left by another client of a pooler leads to no other table', async (t) => {
  const { url, query } = await cacheDatabase(t)
  await query(
    'create schema tenant; set search_path = tenant; create table tenant.cache_entries (like public.cache_entries including all)',
  )
  await query("insert into tenant.cache_entries (key, value) values ('a', 'of another tenant')")
  const proxy = await injectingProxyTo(t, url)
  const { client } = await startLiveSidecar(t, {
    databaseUrl: proxy.url,
    databaseListenUrl: url,
    databasePoolSize: 1,
  })
  await client.set('mine', 1)
  await proxy.inject('set search_path = tenant')
  t.equal((await client.get('a')).status, 404)
  t.match((await client.set('b', 'mine')).body, { db_written: true })
  t.same((await query('select key from tenant.cache_entries')).rows, [{ key: 'a' }])
  t.same((await query('select key from public.cache_entries order by key')).rows, [
    { key: 'b' },
    { key: 'mine' },
  ])
})

t.test('a writer may use standard_conforming_strings = off', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  const writer = new pg.Client({ connectionString: url })
  await writer.connect()
  t.teardown(() => writer.end())
  await writer.query('set standard_conforming_strings = off')
  const long = 'k'.repeat(600)
  for (const key of ['short', long]) {
    await writer.query('insert into cache_entries (key, value) values ($1, $2)', [key, 'before'])
    t.equal(await client.held(key), 'before')
    await writer.query('update cache_entries set value = $2 where key = $1', [key, 'after'])
    await eventually(async () => (await client.value(key)) === 'after')
  }
  await writer.query('update cache_entries set key = $1 where key = $2', ['renamed', long])
  await eventually(async () => (await client.get(long)).status === 404)
  t.ok((await query('select')).rows)
})

for (const [what, sql] of Object.entries({
  'columns are swapped': `alter table cache_entries add column value2 text not null default 'new';
    alter table cache_entries rename column value to value1;
    alter table cache_entries rename column value2 to value;
    alter table cache_entries alter column value1 drop not null`,
  'a column is dropped and made again':
    "alter table cache_entries drop column value, add column value text not null default 'new'",
})) {
  t.test(`${what}: the entry is dropped`, async (t) => {
    const { url, query } = await cacheDatabase(t)
    await query("insert into cache_entries (key, value) values ('a', 'old')")
    const { client } = await startLiveSidecar(t, { databaseUrl: url, ttlSeconds: 0 })
    t.equal(await client.held('a'), 'old')
    await query(sql)
    await eventually(async () => (await client.get('a')).body.value === 'new')
  })
}

t.test('a table moved out of the search path is reported', async (t) => {
  const { url, query } = await cacheDatabase(t)
  await query("create schema other; insert into cache_entries (key, value) values ('a', 'kept')")
  await query('alter table cache_entries set schema other')
  const moved =
    /public.cache_entries was moved to the schema other: .*alter table "other".cache_entries set schema "public"/
  await t.rejects(migrate(url), { message: moved }, 'no second, empty one is made')
  const sidecar = await startSidecar(t, { databaseUrl: url, migrate: false })
  const { client } = sidecar
  await blamed(t, sidecar, moved)
  await query('alter table other.cache_entries set schema public')
  await eventually(async () => (await client.stats()).feed.state === 'live')
  t.equal(await client.held('a'), 'kept')
})

// --- After its own set, a sidecar holds what was stored ---

t.test('a default on expires_at: at an insert and at an update', async (t) => {
  const { url, query } = await cacheDatabase(t)
  await query("alter table cache_entries alter column expires_at set default now() + interval '1 hour'")
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  for (const value of [1, 2]) {
    await client.set('a', value)
    const { headers } = await client.get('a')
    const ttl = Number(/; ttl=(\d+)/.exec(String(headers['cache-status']))?.[1])
    t.ok(ttl <= 60, 'within the time to live of the sidecar')
    const { rows } = await query<{ ok: boolean }>(
      "select expires_at between now() + interval '59 minutes' and now() + interval '61 minutes' as ok from cache_entries",
    )
    t.same(rows, [{ ok: true }])
  }
  await query(
    "alter table cache_entries alter column expires_at set default now() + interval '50 milliseconds'",
  )
  await client.set('a', 3)
  await eventually(async () => (await client.get('a')).status === 404)
})

const stored: Readonly<Record<string, readonly [body: string, when: string, expected: unknown]>> = {
  'a BEFORE trigger changes the value': [
    "new.value := 'stored'; return new",
    'before insert or update',
    'stored',
  ],
  'an AFTER trigger updates the row again': [
    "if pg_trigger_depth() = 1 then update cache_entries set value = 'stored' where key = new.key; end if; return null",
    'after insert or update',
    'stored',
  ],
}
for (const [what, [body, when, expected]] of Object.entries(stored)) {
  t.test(what, async (t) => {
    const { url, query } = await cacheDatabase(t)
    const { client } = await startLiveSidecar(t, { databaseUrl: url })
    await client.set('a', 'sent')
    t.equal((await client.get('a')).body.value, 'sent')
    await query(`create function odd() returns trigger language plpgsql as $$begin ${body}; end$$`)
    await query(`create trigger odd ${when} on cache_entries for each row execute function odd()`)
    for (const key of ['a', 'b']) {
      const { body: answer, headers } = await client.set(key, 'sent')
      t.match(answer, { ok: true, db_written: true })
      t.equal((await client.get(key)).body.value, expected, 'at once')
      t.equal((await strong(client, key)).value, expected)
      const read = await client.request('GET', `/cache/get?key=${key}`, {
        headers: { 'Cache-Token': headers['cache-token'] },
      })
      t.equal(read.body.value, expected)
    }
  })
}

t.test('a BEFORE trigger renames the key, or leaves the row out: refused, and nothing is held', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  await client.set('a', 'before')
  await query(`create function odd() returns trigger language plpgsql as $$begin
    if new.key = 'left out' then return null; end if;
    if new.key = 'renamed' then new.key := 'other'; end if;
    return new; end$$`)
  await query('create trigger odd before insert on cache_entries for each row execute function odd()')
  const answers = await Promise.all(['left out', 'renamed', 'b'].map((key) => client.set(key, 1)))
  t.match(
    answers.map(({ status }) => status),
    [422, 422, 200],
  )
  t.match(answers[0]?.body.detail, /did not store or delete the entry under this key/)
  for (const key of ['left out', 'renamed']) t.equal((await client.get(key)).status, 404)
  t.equal(await client.value('other'), 1)
})

// --- What the table must be ---

const shapes: Readonly<Record<string, readonly [sql: string, reason: RegExp]>> = {
  'no unique key': ['alter table cache_entries drop constraint cache_entries_pkey', /no unique index on key/],
  'a partial unique index': [
    "alter table cache_entries drop constraint cache_entries_pkey; create unique index on cache_entries (key) where key <> ''",
    /no unique index on key/,
  ],
  'a nondeterministic collation': [
    `create collation ignoring_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
     alter table cache_entries alter column key type text collate ignoring_case`,
    /collation takes different texts for equal/,
  ],
  'a key of type char(n)': [
    'alter table cache_entries alter column key type char(40)',
    /key of type character/,
  ],
  'a value that is not text': [
    'alter table cache_entries alter column value type jsonb using to_jsonb(value)',
    /value of type jsonb: .*alter column value type text/,
  ],
  'a version of another type': [
    'alter table cache_entries alter column version type numeric',
    /version numeric/,
  ],
  'a column that is gone': [
    'alter table cache_entries drop column content_type cascade',
    /lacks the column content_type/,
  ],
  'values that may be null': [
    'alter table cache_entries alter column value drop not null',
    /values that may be null: .*alter column value set not null/,
  ],
  'a unique index whose collation is nondeterministic': [
    `create collation ignoring_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
     alter table cache_entries drop constraint cache_entries_pkey;
     create unique index on cache_entries (key collate ignoring_case)`,
    /no unique index on key/,
  ],
  'a rule on insert': [
    'create rule odd as on insert to cache_entries do also notify other',
    /has the rule odd, with which it cannot be written/,
  ],
  'a rule in place of a delete': [
    'create rule odd as on delete to cache_entries do instead nothing',
    /has the rule odd/,
  ],
  'all triggers disabled': [
    'alter table cache_entries disable trigger user',
    /cache_entries_2_stamp.* is not enabled always: .*enable always trigger/,
  ],
  'a child by inheritance': ['create table child () inherits (cache_entries)', /by inheritance/],
}
for (const [what, [sql, reason]] of Object.entries(shapes)) {
  t.test(`refused in one line: ${what}`, async (t) => {
    const { url, query } = await cacheDatabase(t)
    await query(sql)
    await blamed(t, await startSidecar(t, { databaseUrl: url, migrate: false }), reason)
  })
}

for (const [what, sql] of Object.entries({
  'a view': "create view cache_entries as select 'k'::text as key, 'v'::text as value",
  'a partitioned table':
    'create table cache_entries (key text primary key, value text not null, updated_at timestamp) partition by list (key)',
  'a foreign table': `create extension if not exists file_fdw; create server files foreign data wrapper file_fdw;
     create foreign table cache_entries (key text, value text) server files options (filename '/dev/null')`,
})) {
  t.test(`refused by migrate and by a sidecar: ${what}`, async (t) => {
    const { url, query } = await freshDatabase(t)
    await query(sql)
    await t.rejects(migrate(url), { message: new RegExp(`^public.cache_entries is ${what} of role`) })
    await blamed(t, await startSidecar(t, { databaseUrl: url, migrate: false }), new RegExp(`is ${what}`))
  })
}

t.test('a key may have the type varchar', async (t) => {
  const { url, query } = await freshDatabase(t)
  await query(
    'create table cache_entries (key varchar(20) primary key, value text not null, updated_at timestamp not null default now())',
  )
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  t.equal((await client.set('a', 1)).body.db_written, true)
  t.equal(await client.held('a'), 1)
  t.equal((await client.set('more than twenty characters', 1)).status, 422)
  t.equal((await client.delete('a')).body.db_removed, true)
})

// --- Smaller ones ---

t.test('an expires_at of infinity never expires, and one of -infinity has expired', async (t) => {
  const { url, query } = await cacheDatabase(t)
  await query(
    "insert into cache_entries (key, value, expires_at) values ('ever', 'x', 'infinity'), ('never', 'x', '-infinity')",
  )
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  t.equal(await client.held('ever'), 'x')
  t.equal((await client.get('never')).status, 404)
  t.equal((await client.get('never')).status, 404)
})

t.test('after a strong read that finds nothing, nothing is served', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  await client.set('a', 1)
  t.equal(await client.held('a'), 1)
  await query(`alter table cache_entries disable trigger user; delete from cache_entries; ${on}`)
  t.equal((await client.request('GET', '/cache/get?key=a&consistency=strong')).status, 404)
  t.equal((await client.get('a')).status, 404)
})

t.test('a table that pg_dump -t has brought here: migrate takes it over with its rows', async (t) => {
  const { url, query } = await freshDatabase(t)
  await query(`create table cache_entries (key text primary key, value text not null, updated_at timestamp not null default now(),
    version bigint not null default 0, content_type text, expires_at timestamptz)`)
  await query(
    `insert into cache_entries values ('json', '{"a":1}', now(), 839523434, 'application/json', null),
       ('later', 'x', now(), 17, null, now() + interval '1 hour')`,
  )
  t.ok((await migrate(url)).length > 0)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  t.same(await client.held('json'), { a: 1 })
  t.equal(await client.held('later'), 'x')
  t.match((await client.set('json', 2)).body, { db_written: true })
  const { rows } = await query<{ higher: boolean }>(
    "select version > 839523434 as higher from cache_entries where key = 'json'",
  )
  t.same(rows, [{ higher: true }], 'versions go on from the highest that came along')
  await eventually(async () => (await client.stats()).feed.state === 'live')
  t.equal((await client.stats()).feed.losses, 0)
})
