/** Tests of cache_bind() and cache_unbind(): what is refused and why, and what a binding leaves in the database. */
import pg from 'pg'
import t, { type Test } from 'tap'
import { keyId } from '../../../src/core/state/key-id.js'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { Announcements } from '../../support/announcements.js'
import { cacheDatabase, type FreshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'

const database = await cacheDatabase(t)
const { query } = database
await query(`
  create table product (id int primary key, sku text unique, name text, price numeric, at timestamptz);
  create table line (tenant uuid, day date, no bigint, note varchar(20), unique (no, day, tenant));
  create table partitioned (id bigint primary key) partition by range (id);
  create table partition_1 partition of partitioned for values from (0) to (10);
  create table parent (id int primary key);
  create table child (id int primary key) inherits (parent);
  create table scattered (id int) partition by range (id);
  create foreign data wrapper far; create server elsewhere foreign data wrapper far;
  create foreign table scattered_1 partition of scattered for values from (0) to (10) server elsewhere;
  create view product_view as select * from product;
  create materialized view product_copy as select * from product;
  create table odd ("a{b" int primary key);
  create table few (id int, code text);
  create unique index on few (id) where code is not null;
  create unique index on few (lower(code));
  create table "No ""Such"": Table" ("Id:x" int primary key);
`)

/** Resolves when so many locks are waited for. */
const untilWaiting = (count = 1) =>
  eventually(async () => (await query('select from pg_locks where not granted')).rows.length >= count)

async function failure(sql: string): Promise<pg.DatabaseError> {
  return query(sql).then(
    () => {
      throw new Error(`accepted: ${sql}`)
    },
    (error: pg.DatabaseError) => error,
  )
}

const refusals: readonly [why: string, sql: string, message: RegExp, hint?: RegExp][] = [
  [
    'a view',
    "cache_bind('product_view', 'v:{id}')",
    /public\.product_view is a view/,
    /tables that it reads/,
  ],
  ['a materialized view', "cache_bind('product_copy', 'v:{id}')", /is a materialized view/],
  ['a partition', "cache_bind('partition_1', 'v:{id}')", /is a partition/, /partitioned table/],
  [
    'a table with a foreign partition',
    "cache_bind('scattered', 'v:{id}')",
    /^public\.scattered has the foreign table public\.scattered_1 as a partition, and cannot be bound$/,
  ],
  [
    'a query over a table with a foreign partition',
    `cache_bind_query('v:{id}', 'select * from scattered where id = $1', '{"scattered": "{id}"}')`,
    /^public\.scattered has the foreign table public\.scattered_1 as a partition/,
  ],
  ['a parent', "cache_bind('parent', 'v:{id}')", /parents or children by inheritance/],
  ['a child', "cache_bind('child', 'v:{id}')", /parents or children by inheritance/],
  [
    'a name that is no table',
    "cache_bind(to_regclass('produkt'), 'v:{id}')",
    /^the table is NULL$/,
    /no table has the name/,
  ],
  [
    'a catalogue',
    "cache_bind('pg_class', 'v:{oid}')",
    /pg_catalog\.pg_class cannot be bound/,
    /PostgreSQL or to the cache/,
  ],
  [
    'our own table',
    "cache_bind('cache_entries', 'v:{key}')",
    /public\.cache_entries cannot be bound/,
    /PostgreSQL or to the cache/,
  ],
  ['an index', "cache_bind('product_pkey', 'v:{id}')", /is an index/],
  ['no column', "cache_bind('product', 'v')", /'v' is not a pattern/, /in braces/],
  ['no text first', "cache_bind('product', '{id}')", /is not a pattern/],
  ['a text after a column', "cache_bind('product', 'v:{id}x')", /is not a pattern/],
  ['two columns side by side', "cache_bind('product', 'v:{id}{sku}')", /is not a pattern/],
  ['a percent sign', "cache_bind('product', 'v%:{id}')", /is not a pattern/],
  ['a control character', "cache_bind('product', E'v\\n:{id}')", /is not a pattern/],
  ['no pattern', "cache_bind('product', null)", /is not a pattern/],
  ['too long a pattern', "cache_bind('product', repeat('v', 300) || ':{id}')", /is not a pattern/],
  ['a column twice', "cache_bind('product', 'v:{id}:{id}')", /names a column twice/],
  ['an unknown column', "cache_bind('product', 'v:{ident}')", /has no column ident/],
  ['a system column', "cache_bind('product', 'v:{ctid}')", /has no column ctid/],
  ['an unknown column of the answer', "cache_bind('product', 'v:{id}', array['nam'])", /has no column nam/],
  ['no columns', "cache_bind('product', 'v:{id}', '{}')", /list of columns is empty/, /all columns/],
  [
    'a column of the answer twice',
    "cache_bind('product', 'v:{id}', array['id', 'id'])",
    /has a column twice/,
  ],
  [
    'a type without one spelling',
    "cache_bind('product', 'v:{price}')",
    /price of type numeric/,
    /uuid, date/,
  ],
  ['no unique index', "cache_bind('product', 'v:{name}')", /no unique index on name/, /create unique index/],
  ['a partial index', "cache_bind('few', 'v:{id}')", /no unique index on id/],
  ['a functional index', "cache_bind('few', 'v:{code}')", /no unique index on code/],
  ['a part of a unique index', "cache_bind('line', 'v:{tenant}:{no}')", /no unique index on tenant, no/],
]

for (const [why, sql, message, hint = /.*/s] of refusals)
  t.test(`refused: ${why}`, async (t) => {
    const error = await failure(`select ${sql}`)
    t.match(error.message, message)
    t.match(error.hint ?? '', hint)
    t.same((await query('select * from cache_bindings')).rows, [])
  })

t.test('a table that belongs to another role is refused', async (t) => {
  const role = `binder_${database.name}`
  await query(`create role ${role}; grant create, usage on schema public to ${role}`)
  t.teardown(() => query(`drop owned by ${role}; drop role ${role}`))
  const client = await sessionOf(t, database)
  await client.query(`set role ${role}`)
  await t.rejects(client.query("select cache_bind('product', 'p:{id}')"), {
    code: '42501',
    message: /only the owner of public\.product can bind it/,
  })
})

t.test('patterns that can match the same key exclude each other', async (t) => {
  await query("select cache_bind('line', 'line:{tenant}:{day}:{no}')")
  t.teardown(() => query("select cache_unbind('line:{tenant}:{day}:{no}')"))
  for (const other of ['line:{no}:{day}:{tenant}', 'li{no}:x{day}:{tenant}:', 'line:1:{day}:{no}{tenant}'])
    t.match(
      await failure(`select cache_bind('line', '${other}')`),
      other.startsWith('line:{no}')
        ? {
            message: /match the same key/,
            hint: /Begin one .* or unbind line:\{tenant\}:\{day\}:\{no\} first/,
          }
        : { message: /match the same key|not a pattern/ },
    )
  for (const [pattern, table] of [
    ['line:{id}', 'product'],
    ['lin:{tenant}:{day}:{no}', 'line'],
  ]) {
    await query(`select cache_bind('${table}', '${pattern}')`)
    t.same((await query(`select cache_unbind('${pattern}') as was`)).rows, [{ was: true }])
  }
})

t.test('two patterns overlap exactly if a key matches both', async (t) => {
  const pairs: readonly [string, string, boolean][] = [
    ['a:{x}', 'a:{y}', true],
    ['a:{x}', 'b:{x}', false],
    ['a:{x}', 'a:{x}:{y}', false],
    ['a{x}', 'ab{x}', true],
    ['a{x}', 'a:{x}', false],
    ['a:b{x}', 'a:bc', true],
    ['a:b{x}', 'a:c', false],
    ['a:1:{x}', 'a:{x}:2', true],
    ['a:1:{x}', 'a:2:{x}', false],
  ]
  for (const [one, other, overlap] of pairs)
    for (const pair of [
      [one, other],
      [other, one],
    ])
      t.same(
        (await query('select cache_patterns_overlap($1, $2) as overlap', pair)).rows,
        [{ overlap }],
        pair.join(' '),
      )
})

t.test('a binding is replaced in place, and its end leaves nothing behind', async (t) => {
  const objects = async () =>
    (
      await query(
        `select tgname::text as name from pg_trigger where tgrelid in ('product'::regclass, 'few'::regclass, 'line'::regclass)
           and not tgisinternal
         union all
         select proname::text from pg_proc where proname ~ '^cache_announce_[0-9a-f]{12}$'`,
      )
    ).rows.length
  t.equal(await objects(), 0)
  await query(
    "select cache_bind('product', key => 'thing:{id}', columns => array['id', 'name'], in_group => 'things')",
  )
  t.same((await query('select * from cache_bindings')).rows, [
    {
      key: 'thing:{id}',
      table_name: 'product',
      columns: ['id', 'name'],
      group_name: 'things',
      announce: 'outbox',
      query: null,
    },
  ])
  t.equal(await objects(), 4)
  await query("select cache_bind('product', key => 'sku:{sku}')")
  t.equal(await objects(), 8, 'another pattern is another binding')
  await query("select cache_unbind('sku:{sku}'); select cache_unbind('few:{id}')")
  await query("alter table few add primary key (id); select cache_bind('few', key => 'thing:{id}')")
  t.same((await query('select * from cache_bindings')).rows, [
    {
      key: 'thing:{id}',
      table_name: 'few',
      columns: null,
      group_name: null,
      announce: 'outbox',
      query: null,
    },
  ])
  t.equal(await objects(), 4, 'the triggers of the former table are gone')
  await query("select cache_bind('few', key => 'thing:{id}', announce => 'notify')")
  t.equal(await objects(), 7, 'with notify, there are triggers for statements')
  await query("select cache_bind('few', key => 'thing:{id}')")
  t.equal(await objects(), 4, 'and none without')
  t.same((await query("select cache_unbind('thing:{id}') as was")).rows, [{ was: true }])
  t.same((await query("select cache_unbind('thing:{id}') as was")).rows, [{ was: false }])
  t.equal(await objects(), 0)
})

for (const [what, table, bind] of [
  ['a table', 'product', "cache_bind('product', 'thing:{id}')"],
  ['a partitioned table', 'partitioned', "cache_bind('partitioned', 'thing:{id}')"],
  [
    'a query',
    'partitioned',
    `cache_bind_query('thing:{id}', 'select product.* from product, partitioned where product.id = $1',
       '{"product": ["{id}", "select {id}"], "partitioned": "select id from product where {id} > 0"}')`,
  ],
] as const)
  t.test(`readers do not wait while ${what} is bound again`, async (t) => {
    await query(`select ${bind}`)
    t.teardown(() => query("select cache_unbind('thing:{id}')"))
    const before = await triggers()
    await query('alter table product disable trigger all; alter table partition_1 disable trigger all')
    const owner = await sessionOf(t, database)
    const reader = await sessionOf(t, database)
    await owner.query(`begin; select ${bind}`)
    await reader.query("set lock_timeout = '1s'; select from product; select from partitioned")
    await t.rejects(reader.query(`delete from ${table}`), { code: '55P03' }, 'writers wait')
    await owner.query('commit')
    const after = await triggers()
    t.same(
      after.map(({ id }) => id),
      before.map(({ id }) => id),
    )
    t.same(
      after.map(({ state }) => state),
      before.map(({ state }) => state),
    )
  })

t.test('readers do not wait while a binding begins to notify', async (t) => {
  await query("select cache_bind('product', 'thing:{id}')")
  t.teardown(() => query("select cache_unbind('thing:{id}')"))
  const owner = await sessionOf(t, database)
  const reader = await sessionOf(t, database)
  await owner.query("begin; select cache_bind('product', 'thing:{id}', announce => 'notify')")
  await reader.query("set lock_timeout = '1s'; select from product")
  await owner.query('commit')
})

const bindTable = (table: string) => `cache_bind('${table}', 'thing:{id}', in_group => 'things')`
const bindQuery = (table: string) =>
  `cache_bind_query('thing:{id}', 'select id from ${table} where id = $1', '{"${table}": "{id}"}', in_group => 'things')`

for (const [what, bind] of [
  ['table', bindTable],
  ['query', bindQuery],
] as const)
  t.test(`a transaction that writes and then drops a group can go on while a ${what} is bound`, async (t) => {
    const statements = [bind('product'), bind('partitioned'), bind('product'), "cache_unbind('thing:{id}')"]
    await query(`select ${bind('product')}`)
    t.teardown(() => query("select cache_unbind('thing:{id}')"))
    for (const sql of statements) {
      const owner = await sessionOf(t, database)
      const writer = await sessionOf(t, database)
      await writer.query('begin; delete from product')
      const bound = owner.query(`select ${sql}`)
      await untilWaiting()
      await writer.query("select cache_invalidate_group('things'); rollback")
      await bound
    }
  })

t.test('two queries over the same tables end at the same time', async (t) => {
  const bind = (key: string, depends: string) =>
    query(
      `select cache_bind_query('${key}', 'select id from product natural join other where id = $1', '${depends}')`,
    )
  await query('create table other (id int primary key)')
  t.teardown(() => query('drop table other cascade'))
  await bind('one:{id}', '{"other": "{id}", "product": "{id}"}')
  await bind('two:{id}', '{"product": "{id}", "public.other": "{id}"}')
  const writer = await sessionOf(t, database)
  const owners = [await sessionOf(t, database), await sessionOf(t, database)]
  // Each would have locked one table when the writer lets go, and wait for that of the other.
  await writer.query('begin; lock table product, other')
  const ended: Promise<unknown>[] = []
  for (const [index, key] of ['one', 'two'].entries()) {
    ended.push(owners[index]?.query(`select cache_unbind('${key}:{id}') as was`) as Promise<unknown>)
    await untilWaiting(index + 1)
  }
  await writer.query('commit')
  t.match(await Promise.all(ended), [{ rows: [{ was: true }] }, { rows: [{ was: true }] }])
})

t.test('a session may quote all identifiers', async (t) => {
  const owner = await sessionOf(t, database)
  await owner.query('set quote_all_identifiers = on')
  await owner.query("select cache_bind('product', 'thing:{id}')")
  await owner.query('alter table product add column more int')
  await owner.query(`select cache_invalidate('thing:1'), ${bindQuery('product')}`)
  t.match((await owner.query("select cache_unbind('thing:{id}') as was")).rows, [{ was: true }])
})

for (const [what, bind] of [
  ['a table', "cache_bind('partitioned', 'thing:{id}')"],
  [
    'a query',
    `cache_bind_query('thing:{id}', 'select id from partitioned where id = $1', '{"partitioned": "{id}"}')`,
  ],
] as const)
  t.test(`the end of a binding of ${what} locks a table before its partitions, as writers do`, async (t) => {
    await query(`select ${bind}`)
    const owner = await sessionOf(t, database)
    const writer = await sessionOf(t, database)
    await writer.query('begin; lock table only partitioned in row exclusive mode')
    // The triggers whose drop locks partitions come first then.
    await owner.query('set enable_seqscan = off')
    const unbound = owner.query("select cache_unbind('thing:{id}') as was")
    await untilWaiting()
    await writer.query("set lock_timeout = '10s'; delete from partition_1; commit")
    t.same((await unbound).rows, [{ was: true }])
  })

t.test(
  'a binding of partitions that no longer notifies locks their table before them, as readers do',
  async (t) => {
    await query("select cache_bind('partitioned', 'thing:{id}', announce => 'notify')")
    t.teardown(() => query("select cache_unbind('thing:{id}')"))
    const owner = await sessionOf(t, database)
    const reader = await sessionOf(t, database)
    await reader.query('begin; lock table only partitioned in access share mode')
    await owner.query('set enable_seqscan = off')
    const bound = owner.query("select cache_bind('partitioned', 'thing:{id}')")
    await untilWaiting()
    await reader.query("set lock_timeout = '10s'; select from partition_1; commit")
    await bound
  },
)

t.test('a binding that is made again has no trigger on a table that it has left', async (t) => {
  const bind = (depends: object) =>
    query(
      `select cache_bind_query('thing:{id}', 'select * from product where id = $1', '${JSON.stringify(depends)}')`,
    )
  await bind({ few: '{id}', product: '{id}' })
  t.teardown(() => query("select cache_unbind('thing:{id}')"))
  await bind({ line: 'select id from product where {no} > 0', product: '{id}' })
  const tables = async () => [...new Set((await triggers()).map(({ table }) => table))]
  t.same(await tables(), ['line', 'product'])
  await bind({ product: '{id}' })
  t.same(await tables(), ['product'])
  await query("select cache_unbind('thing:{id}')")
  t.same(await triggers(), [])
})

t.test('a binding of a table that was dropped can be ended', async (t) => {
  await query("create table short_lived (id int primary key); select cache_bind('short_lived', 's:{id}')")
  await query('drop table short_lived')
  t.same((await query("select cache_unbind('s:{id}') as was")).rows, [{ was: true }])
  t.same((await query("select from pg_proc where proname ~ '^cache_announce_[0-9a-f]{12}$'")).rows, [])
})

t.test('names of any spelling, and a schema that is renamed', async (t) => {
  await query(`select cache_bind('"No ""Such"": Table"', 'odd name:{Id:x}')`).then(
    () => t.fail('a colon in a column name'),
    (error: pg.DatabaseError) => t.match(error.message, /is not a pattern/),
  )
  const other = await cacheDatabase(t)
  await other.query(
    'create schema "My ""Shop"; create table "My ""Shop"."T:1" ("Key" text primary key, v int)',
  )
  await other.query(`select cache_bind('"My ""Shop"."T:1"', 't\\:{Key}', announce => 'notify')`)
  await other.query('alter schema public rename to "New Name"; alter schema "My ""Shop" rename to shop')
  const [channel] = (
    await other.query<{ name: string }>(
      `select "New Name".cache_channel('New Name', 'cache_entries') as name`,
    )
  ).rows
  const client = await sessionOf(t, other)
  const heard: unknown[] = []
  client.on('notification', ({ payload }) => heard.push(JSON.parse(payload ?? '')))
  await client.query(`listen ${channel?.name}`)
  await client.query(`insert into shop."T:1" values ('a:b%', 1); delete from shop."T:1"`)
  await client.query('select')
  t.same(heard, [['t\\:a%3Ab%25', '1']])
})

for (const announce of ['outbox', 'notify'] as const)
  t.test(`what statements announce: ${announce}`, async (t) => {
    await query('truncate line')
    await query(`select cache_bind('line', 'line:{no}:{day}:{tenant}', announce => '${announce}')`)
    t.teardown(() => query("select cache_unbind('line:{no}:{day}:{tenant}')"))
    const ids = await announcedIds(t, announce)
    const tenant = '0189d0a2-0000-7000-8000-0000000000ff'
    const key = (no: number, day = '2026-11-28') => `line:${no}:${day}:${tenant}`
    const client = await sessionOf(t, database)
    await client.query(
      "set datestyle = 'German'; set standard_conforming_strings = off; set search_path = ''",
    )
    await client.query(
      `insert into public.line values ('${tenant.toUpperCase()}', '28.11.2026', 1, 'a'), ('${tenant}', '28.11.2026', 2, 'b'),
       (null, '28.11.2026', 3, 'without a key')`,
    )
    t.same(await ids(), [key(1), key(2)])
    await client.query('update public.line set no = 5 where no = 1')
    t.same(await ids(), [key(1), key(5)])
    await client.query("update public.line set note = 'c' where no = 99")
    t.same(await ids(), [])
    await client.query('delete from public.line where no = 5')
    t.same(await ids(), [key(5)])
    await client.query(
      `insert into public.line select '${tenant}', date '2000-01-01' + n, 7, '' from generate_series(1, 10000) as n`,
    )
    t.equal(new Set(await ids()).size, 10_000)
    await client.query('delete from public.line where no = 7')
    t.equal(new Set(await ids()).size, 10_000)
    /** With notify, a statement announces that many keys as any key. In the outbox, each key has its row. */
    const announces = async (keys: number) =>
      announce === 'notify'
        ? t.same(await ids(), ['*'], `${keys} keys`)
        : t.equal(new Set(await ids()).size, keys)
    await client.query(
      `insert into public.line select '${tenant}', date '2000-01-01' + n, 7, '' from generate_series(1, 10001) as n`,
    )
    await announces(10_001)
    await client.query('delete from public.line')
    await announces(10_002)
    // The row without a key comes among the first, and the last rows are as many as are named.
    await client.query(
      `insert into public.line select case when n > 1 then '${tenant}'::uuid end, date '2000-01-01' + n, 7, ''
       from generate_series(1, 20000) as n`,
    )
    await announces(19_999)
    await client.query("update public.line set note = 'x'")
    await announces(19_999)
    await client.query('update public.line set no = 8')
    await announces(39_998)
    await client.query(
      `begin; update public.line set no = 9 where day = '2000-01-03'; savepoint s;
       delete from public.line where day > '2015-01-01'; commit`,
    )
    await ids()
    await client.query(
      `begin; update public.line set no = 10 where day = '2000-01-03'; update public.line set note = 'y'; commit`,
    )
    t.not((await ids())[0], '*', 'a key that stays the same counts once')
    await client.query('truncate public.line')
    t.same(await ids(), ['*'])
  })

for (const announce of ['outbox', 'notify'] as const)
  t.test(
    `what row triggers announce: in the replica role, and of partitioned tables: ${announce}`,
    async (t) => {
      await query(`select cache_bind('product', 'product:{id}', announce => '${announce}'),
 cache_bind('partitioned', 'part:{id}', announce => '${announce}')`)
      t.teardown(() => query("select cache_unbind('product:{id}'), cache_unbind('part:{id}')"))
      const announcedNow = await announcedIds(t, announce)
      const client = await sessionOf(t, database)
      for (const [table, name] of [
        ['product', 'product'],
        ['partitioned', 'part'],
      ]) {
        await client.query(`set session_replication_role = ${table === 'product' ? 'replica' : 'origin'}`)
        const announces = async (sql: string, ...ids: readonly number[]) => {
          await client.query(sql)
          // With notify, the triggers for statements fire in the replica role, too.
          t.same(
            [...new Set(await announcedNow())],
            ids.map((id) => `${name}:${id}`),
            sql,
          )
        }
        await announces(`insert into ${table} (id) values (1), (2)`, 1, 2)
        await announces(`update ${table} set id = 3 where id = 1`, 1, 3)
        await announces(`delete from ${table} where id = 2`, 2)
        await client.query(`truncate ${table}`)
        t.same(await announcedNow(), ['*'])
      }
    },
  )

t.test('a key that changes is announced if a trigger updates another row meanwhile', async (t) => {
  await query(`
    create table nested (id int primary key, v int);
    insert into nested values (1, 0), (2, 0);
    create function touch() returns trigger language plpgsql as
      'begin if pg_trigger_depth() = 1 then update nested set v = v + 1 where id = 2; end if; return null; end';
    create trigger z_touch after update on nested for each row execute function touch();
    select cache_bind('nested', 'nested:{id}')`)
  t.teardown(() => query("select cache_unbind('nested:{id}'); drop table nested; drop function touch"))
  const ids = await announcedIds(t, 'outbox')
  await query('update nested set id = 3 where id = 1')
  t.same([...new Set(await ids())], ['nested:1', 'nested:2', 'nested:3'])
  await query(
    'begin; savepoint s; update nested set id = 4 where id = 3; release s; update nested set v = 5; commit',
  )
  t.same([...new Set(await ids())], ['nested:2', 'nested:3', 'nested:4'])
})

t.test('two caches of one database bind a table by different patterns', async (t) => {
  const other = await cacheDatabase(t)
  await other.query(
    'create table shared (id int primary key); select cache_bind($$shared$$, $$shared:{id}$$)',
  )
  await other.query(
    'alter schema public rename to first; create schema public; alter table first.shared set schema public',
  )
  await migrate(other.url)
  const refused = { code: '55006', message: /schema first has bound public\.shared to the same pattern/ }
  await t.rejects(other.query("select public.cache_bind('shared', 'shared:{id}')"), refused)
  await other.query("select public.cache_bind('shared', 'second:{id}')")
})

t.test('with notify, a writer needs no right on the schema of the cache', async (t) => {
  const own = await cacheDatabase(t)
  const role = `writer_${own.name}`
  await own.query(`
    create schema shop; create table shop.item (id int primary key);
    select cache_bind('shop.item', 'item:{id}', announce => 'notify');
    create role ${role}; grant usage on schema shop to ${role}; grant insert on shop.item to ${role};
    revoke usage on schema public from public`)
  t.teardown(() => own.query(`drop owned by ${role}; drop role ${role}`))
  const announced = await Announcements.of(t, own)
  const client = await sessionOf(t, own)
  await client.query(`set role ${role}; insert into shop.item values (1)`)
  t.same(await announced.ids(), ['item:1'])
})

t.test('a long key is announced by its hash', async (t) => {
  await query(
    "create table page (path text primary key); select cache_bind('page', 'page:{path}', announce => 'notify')",
  )
  t.teardown(() => query("select cache_unbind('page:{path}'); drop table page"))
  const announced = await Announcements.of(t, database)
  const short = 'x'.repeat(500)
  // 400 characters, and 800 bytes.
  const long = 'é'.repeat(400)
  await query(`insert into page values ('${short}'), ('${long}')`)
  t.same(await announced.ids(), [keyId(`page:${long}`), `page:${short}`])
  t.not(keyId(`page:${long}`), `page:${long}`)
  await query(`insert into page select n || repeat('y', 490) from generate_series(100, 199) as n`)
  t.equal((await announced.ids()).length, 100, 'as many notifications as are needed')
})

t.test('cache_bind and cache_unbind announce that there are other bindings', async (t) => {
  const announced = await Announcements.of(t, database)
  const isAnnounced = async (sql: string) => {
    await query(sql)
    t.match(await announced.changes(), [{ kind: 'bindings' }], sql)
  }
  await isAnnounced("select cache_bind('product', 'product:{id}', in_group => 'products')")
  await isAnnounced("select cache_invalidate_group('products')")
  await isAnnounced("select cache_invalidate_prefix('prod')")
  await isAnnounced("select cache_unbind('product:{id}')")
  await query("select cache_invalidate_group('products'); select cache_invalidate_prefix('prod')")
  t.same(await announced.changes(), [], 'there is no such binding')
})

t.test('an invalidation of a key that can be bound is announced without a version', async (t) => {
  await query("select cache_bind('product', 'product:{id}')")
  t.teardown(() => query("select cache_unbind('product:{id}')"))
  const announced = await Announcements.of(t, database)
  await query("select cache_invalidate('product:1'), cache_invalidate('produce:1')")
  t.same(await announced.changes(), [{ kind: 'key', id: 'product:1', version: '1' }])
})

t.test('texts that a collation takes for equal are two keys', async (t) => {
  await query(`
    create collation careless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create table word (code text collate careless primary key);
    select cache_bind('word', 'word:{code}')`)
  const ids = await announcedIds(t, 'outbox')
  await query("insert into word values ('Cafe')")
  t.same(await ids(), ['word:Cafe'])
  await query("update word set code = 'cafe'")
  t.same(await ids(), ['word:Cafe', 'word:cafe'])
})

/** Returns the triggers of all bindings, also those on partitions. */
async function triggers() {
  const { rows } = await query<{ id: number; table: string; state: string }>(
    `select oid as id, tgrelid::regclass::text as table, concat_ws(' ', tgname, tgenabled, tgfoid::regproc) as state
     from pg_trigger where tgname like 'cache\\_announce\\_%' and not tgisinternal order by tgrelid::regclass::text, tgname`,
  )
  return rows
}

/** Returns a function that returns what has been announced since its last call: keys, or `*` for any. */
async function announcedIds(
  t: Test,
  announce: 'outbox' | 'notify',
): Promise<() => Promise<readonly string[]>> {
  if (announce === 'notify') {
    const announced = await Announcements.of(t, database)
    return () => announced.ids()
  }
  await query('truncate cache_outbox')
  return async () => {
    const { rows } = await query<{ key: string | null }>('delete from cache_outbox returning key')
    return rows.some(({ key }) => key === null) ? ['*'] : rows.map(({ key }) => key as string).sort()
  }
}

async function sessionOf(t: Test, { url }: FreshDatabase): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.end())
  return client
}
