/** Changes of bindings and of their tables that change no row: what sidecars notice, and what they answer meanwhile. */

import pg from 'pg'
import t, { type Test } from 'tap'
import { Announcements } from '../../support/announcements.js'
import { cacheDatabase, type FreshDatabase, freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { FaultProxy } from '../../support/fault-proxy.js'
import { hold, inspectNow } from '../../support/held-answers.js'
import type { JsonClient } from '../../support/json-client.js'
import { type StartedSidecar, type StartOptions, startLiveSidecar } from '../../support/sidecar.js'

interface Setting {
  readonly database: FreshDatabase
  readonly query: FreshDatabase['query']
  readonly client: JsonClient
  readonly started: StartedSidecar
}

async function setting(
  t: Test,
  sql: string,
  url = (database: FreshDatabase) => database.url,
  options: Partial<StartOptions> = {},
): Promise<Setting> {
  const database = await cacheDatabase(t)
  await database.query(sql)
  const started = await startLiveSidecar(t, {
    databaseUrl: url(database),
    migrate: false,
    ttlSeconds: 0,
    ...options,
  })
  return { database, query: database.query, client: started.client, started }
}

const inspect = (query: Setting['query']) => query(inspectNow)

const items = `
  create type mood as enum ('sad', 'glad');
  create table item (id int primary key, v text, mood mood);
  insert into item values (1, 'one', 'sad');
  select cache_bind('item', key => 'item:{id}');
`

t.test('a new binding takes over keys that are held as entries or as absent', async (t) => {
  const { query, client } = await setting(
    t,
    `create table item (id int primary key, v text);
     insert into item values (1, 'row'), (2, 'row');
     insert into cache_entries (key, value) values ('item:1', 'entry'), ('item:3', 'entry'), ('other:1', 'entry')`,
  )
  t.equal(await hold(client, 'item:1'), 'entry')
  t.equal(await hold(client, 'item:2'), undefined)
  t.equal(await hold(client, 'item:3'), 'entry')
  t.equal(await hold(client, 'other:1'), 'entry')
  await query("select cache_bind('item', key => 'item:{id}')")
  await eventually(async () => ((await client.value('item:1')) as { v: string }).v === 'row')
  await eventually(async () => ((await client.value('item:2')) as { v: string }).v === 'row')
  t.equal(await client.value('item:3'), undefined)
  t.equal((await client.get('other:1')).body.source, 'cache', 'what no binding covers stays in memory')
  await query("select cache_bind('item', key => 'item:{id}', columns => array['v'])")
  await eventually(async () => JSON.stringify(await client.value('item:1')) === '{"v":"row"}')
  await query("select cache_unbind('item:{id}')")
  await eventually(async () => (await client.value('item:1')) === 'entry')
  await eventually(async () => (await client.get('item:2')).status === 404)
})

t.test('a binding that is rolled back changes nothing', async (t) => {
  const { query, client } = await setting(
    t,
    `create table item (id int primary key); insert into item values (1);
     insert into cache_entries (key, value) values ('item:1', 'entry')`,
  )
  await query("begin; select cache_bind('item', key => 'item:{id}'); rollback")
  await inspect(query)
  t.equal(await hold(client, 'item:1'), 'entry')
  t.equal((await client.set('item:1', 'new')).status, 200)
})

t.test('definitions that change answers without changing rows', async (t) => {
  const { query, client } = await setting(t, items)
  const becomes = async (sql: string, value: object) => {
    await hold(client, 'item:1')
    await query(sql)
    await inspect(query)
    await eventually(async () => {
      const now = await client.value('item:1')
      return JSON.stringify(now) === JSON.stringify(value)
    })
    t.pass(sql)
  }
  await becomes('alter table item add column n int default 7', { id: 1, v: 'one', mood: 'sad', n: 7 })
  await becomes('alter table item rename column n to number', { id: 1, v: 'one', mood: 'sad', number: 7 })
  await becomes("alter type mood rename value 'sad' to 'blue'", { id: 1, v: 'one', mood: 'blue', number: 7 })
  await becomes("alter table item alter column number type text using number || '!'", {
    id: 1,
    v: 'one',
    mood: 'blue',
    number: '7!',
  })
  await becomes('alter table item drop column number', { id: 1, v: 'one', mood: 'blue' })
  await becomes('alter table item rename to thing', { id: 1, v: 'one', mood: 'blue' })
  await becomes('create schema shop; alter table thing set schema shop', { id: 1, v: 'one', mood: 'blue' })
  await becomes("update shop.thing set v = 'two'", { id: 1, v: 'two', mood: 'blue' })
  await becomes('vacuum full shop.thing', { id: 1, v: 'two', mood: 'blue' })
})

t.test(
  'each fault of a bound table is answered with 503 and named, and other keys are answered',
  async (t) => {
    const { query, client, started } = await setting(
      t,
      `${items}
     create table spare (id int primary key, v text, mood mood);
     create table other (id int primary key, v text); insert into other values (1, 'other');
     select cache_bind('other', key => 'other:{id}');
     insert into cache_entries (key, value) values ('plain', 'entry')`,
    )
    const faults: readonly [fault: string, sql: string, shown: RegExp, logged: RegExp, cure: string][] = [
      [
        'the table is swapped',
        'alter table item rename to former; alter table spare rename to item',
        /replaced by another/,
        /public\.item is another table than the one that was bound, which is public\.former now/,
        'alter table item rename to spare; alter table former rename to item',
      ],
      [
        'a trigger is disabled',
        'alter table item disable trigger all',
        /changes of its table are not announced/,
        /triggers are missing or changed/,
        "select cache_bind('item', key => 'item:{id}')",
      ],
      [
        'a trigger is dropped',
        `do $$ begin execute (select 'drop trigger ' || tgname || ' on item' from pg_trigger
         where tgrelid = 'item'::regclass and tgname like '%\\_row'); end $$`,
        /not announced/,
        /row/,
        "select cache_bind('item', key => 'item:{id}')",
      ],
      [
        'the unique index is gone',
        'alter table item drop constraint item_pkey',
        /no unique index/,
        /public\.item has no unique index on id/,
        'alter table item add primary key (id)',
      ],
      [
        'a key column is renamed',
        'alter table item rename column id to ident',
        /column of its key was dropped, renamed/,
        /has no column id/,
        'alter table item rename column ident to id',
      ],
      [
        'a key column gets another type',
        `do $$ declare name text := (
           select tgname from pg_trigger where tgrelid = 'item'::regclass and tgname ~ '_columns$'
         ); begin execute format('drop trigger %I on item', name); end $$;
         alter table item alter column id type numeric`,
        /another type/,
        /no column id of a type/,
        "alter table item alter column id type int; select cache_bind('item', key => 'item:{id}')",
      ],
      [
        'the table gets a child',
        'create table heir () inherits (item)',
        /by inheritance/,
        /parents or children by inheritance/,
        'drop table heir',
      ],
      [
        'the table is dropped',
        'drop table item',
        /its table was dropped/,
        /the table public\.item was dropped/,
        "create table item (id int primary key, v text, mood mood); insert into item values (1, 'one', 'sad'); select cache_bind('item', key => 'item:{id}')",
      ],
    ]
    for (const [fault, sql, shown, logged, cure] of faults)
      await t.test(fault, async (t) => {
        await hold(client, 'item:1')
        await hold(client, 'item:404')
        await query(sql)
        await inspect(query)
        for (const key of ['item:1', 'item:404']) {
          await eventually(async () => (await client.get(key)).status === 503)
          const { body } = await client.get(key)
          t.match(body, { detail: shown, type: /#binding-unusable$/ }, key)
          t.notMatch(String(body.detail), /public|ident|index on/, 'no object of the database is named')
        }
        t.ok(started.log.some((line) => logged.test(line) && line.includes('a binding cannot be used')))
        t.match(await client.value('other:1'), { v: 'other' })
        t.equal(await client.value('plain'), 'entry')
        const together = await Promise.all(
          ['item:1', 'other:1', 'plain'].map((key) =>
            client.request('GET', `/cache/get?key=${key}&consistency=strong`),
          ),
        )
        t.same(
          together.map(({ status }) => status),
          [503, 200, 200],
          'in one batch',
        )
        t.match(await client.request('GET', '/v1/entries/other%3A1'), { status: 200 })
        t.match((await started.ops.request('GET', '/readyz')).status, 200)
        await query(cure)
        await inspect(query)
        await eventually(async () => (await client.get('item:1')).status === 200)
      })
  },
)

t.test('a role without the right to read a table, and row-level security', async (t) => {
  const role = `reader_${Date.now()}`
  const admin = await freshDatabase(t)
  await admin.query(`create role ${role} login`)
  const { query, client } = await setting(
    t,
    `${items}
     create table other (id int primary key, v text); insert into other values (1, 'other');
     select cache_bind('other', key => 'other:{id}');
     grant select, insert, update, delete on cache_entries, cache_marks, cache_sweeper, cache_leases to ${role};
     grant select, delete on cache_outbox to ${role};
     grant execute on function cache_dependents(text, text[]) to ${role};
     grant select on cache_migrations, other to ${role}`,
    ({ url }) => Object.assign(new URL(url), { username: role }).href,
  )
  t.teardown(async () => {
    await query(`drop owned by ${role}`)
    await admin.query(`drop role ${role}`)
  })
  t.match(await client.get('item:1'), { status: 503, body: { detail: /may not read its table/ } })
  t.match(await client.value('other:1'), { v: 'other' })
  await query(`grant select (id, v, mood) on item to ${role}`)
  await inspect(query)
  await eventually(async () => (await client.get('item:1')).status === 200)
  await hold(client, 'item:1')
  await query(
    `create policy odd on item for select to ${role} using (id % 2 = 1); alter table item enable row level security`,
  )
  await query("insert into item values (2, 'two', 'sad')")
  await inspect(query)
  t.match(await hold(client, 'item:1'), { v: 'one' })
  t.equal(await hold(client, 'item:2'), undefined, 'the policy hides the row')
  await query(`alter policy odd on item using (id % 2 = 0)`)
  await inspect(query)
  await eventually(async () => (await client.get('item:1')).status === 404)
  await eventually(async () => (await client.get('item:2')).status === 200)
  await query(`revoke select (v) on item from ${role}`)
  await inspect(query)
  await eventually(async () => (await client.get('item:2')).status === 503)
})

t.test('changes of partitions that fire no trigger', async (t) => {
  const { query, client } = await setting(
    t,
    `create table measure (id int primary key, v text) partition by range (id);
     create table measure_0 partition of measure for values from (0) to (10);
     create table measure_1 partition of measure for values from (10) to (20);
     insert into measure values (1, 'one'), (11, 'eleven');
     select cache_bind('measure', key => 'measure:{id}')`,
  )
  const becomes = async (sql: string, key: string, status: number) => {
    await hold(client, key)
    await query(sql)
    await inspect(query)
    await eventually(async () => (await client.get(key)).status === status)
    t.pass(sql)
  }
  await becomes('truncate measure_0', 'measure:1', 404)
  await becomes('alter table measure detach partition measure_1', 'measure:11', 404)
  await becomes(
    'alter table measure attach partition measure_1 for values from (10) to (20)',
    'measure:11',
    200,
  )
  await becomes('drop table measure_1', 'measure:11', 404)
})

t.test(
  'a superuser that owns the cache gets an event trigger, which announces definitions at once',
  async (t) => {
    const { query, client, database } = await setting(t, items)
    const { rows } = await query('select from pg_event_trigger')
    t.equal(rows.length, 1)
    await hold(client, 'item:1')
    await query('alter table item add column n int default 7')
    await eventually(async () => ((await client.value('item:1')) as { n?: number }).n === 7)
    await query('create table unrelated (id int); create temp table passing (id int)')
    await t.test('also those of a session whose snapshot is older than the binding', async (t) => {
      const session = new pg.Client({ connectionString: database.url })
      await session.connect()
      t.teardown(() => session.end())
      await session.query('begin isolation level repeatable read; select')
      await query("create table late (id int primary key); select cache_bind('late', 'late:{id}')")
      const announced = await Announcements.of(t, database)
      await session.query('alter table late add column n int; commit')
      t.ok((await announced.payloads()).some((payload) => payload.includes('bindings')))
    })
    await t.test('a session that may not read the bindings can still define tables', async (t) => {
      const role = `definer_${Date.now()}`
      await query(`create role ${role}; create schema authorization ${role}`)
      t.teardown(() => query(`drop owned by ${role} cascade; drop role ${role}`))
      const session = new pg.Client({ connectionString: database.url })
      await session.connect()
      t.teardown(() => session.end())
      await query('revoke usage on schema public from public')
      await session.query(`set role ${role}; create table ${role}.mine (id int)`)
      await query('grant usage on schema public to public')
    })
  },
)

t.test('a sidecar of an earlier version that listens prevents a binding', async (t) => {
  const database = await cacheDatabase(t)
  await database.query('create table item (id int primary key)')
  const earlier = new pg.Client({ connectionString: database.url, application_name: 'caching-layer feed' })
  await earlier.connect()
  await t.rejects(database.query("select cache_bind('item', key => 'item:{id}')"), {
    code: '55006',
    message: /sidecars that do not know bindings are connected/,
  })
  await earlier.end()
  await eventually(() => database.query("select cache_bind('item', key => 'item:{id}')"))
})

t.test('silent changes: while the triggers are disabled, and while nobody listens', async (t) => {
  const { query, client, database } = await setting(
    t,
    `${items} insert into item values (2, 'two', 'sad'), (3, 'three', 'sad')`,
    ({ url }) => url,
    { idleAfterMs: 300, whenIdle: 'disconnect' },
  )
  const holdAll = async () => {
    for (const id of [1, 2, 3, 4]) await hold(client, `item:${id}`)
  }
  const change = (v: string) => `
    update item set v = '${v}' where id = 2; delete from item where id = 3; insert into item values (4, '${v}', 'glad')`
  const isChanged = async (v: string) => {
    await eventually(async () => ((await client.value('item:2')) as { v: string }).v === v)
    await eventually(async () => (await client.get('item:3')).status === 404)
    await eventually(async () => (await client.get('item:4')).status === 200)
  }
  await holdAll()
  await query(
    `begin; alter table item disable trigger user; ${change('silent')}; select cache_bind('item', key => 'item:{id}'); commit`,
  )
  await isChanged('silent')
  await query("insert into item values (3, 'three', 'sad'); delete from item where id = 4")
  await eventually(async () => (await client.get('item:4')).status === 404)
  await holdAll()
  await eventually(async () => {
    const { rows } = await query(
      "select from pg_stat_activity where datname = $1 and application_name = 'caching-layer changes'",
      [database.name],
    )
    return rows.length === 0
  })
  await query(change('missed'))
  await isChanged('missed')
  t.match(await hold(client, 'item:1'), { v: 'one' })
})

t.test('a table that cannot be read does not keep the feed from catching up', async (t) => {
  const { query, client, database } = await setting(
    t,
    `${items}
     create table other (id int primary key, v text); insert into other values (1, 'other');
     select cache_bind('other', key => 'other:{id}')`,
  )
  await hold(client, 'item:1')
  await hold(client, 'other:1')
  // Not noticed before the comparison, which reads the columns that there were.
  await query('alter table item rename column id to ident')
  const { losses } = (await client.stats()).feed
  await query(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and application_name = 'caching-layer changes'",
    [database.name],
  )
  await eventually(async () => (await client.stats()).feed.losses > losses)
  await hold(client, 'other:1')
  await eventually(async () => (await client.get('item:1')).status === 503)
  t.equal((await client.stats()).feed.losses, losses + 1)
})

t.test('bindings that change without an announcement are noticed by the next probe', async (t) => {
  const { query, client } = await setting(
    t,
    `create table item (id int primary key, v text); insert into item values (1, 'row');
     insert into cache_entries (key, value) values ('item:1', 'entry')`,
  )
  t.equal(await hold(client, 'item:1'), 'entry')
  await query(
    "alter table cache_bound_tables disable trigger user; select cache_bind('item', key => 'item:{id}')",
  )
  await eventually(async () => ((await client.value('item:1')) as { v: string }).v === 'row')
})

t.test('without a change feed, a sidecar asks for the bindings that there are now', async (t) => {
  const database = await cacheDatabase(t)
  const { query } = database
  await query(`create table item (id int primary key, v text); insert into item values (1, 'row');
    insert into cache_entries (key, value) values ('item:1', 'entry')`)
  const proxy = new FaultProxy(Number(new URL(database.url).port))
  t.teardown(() => proxy.close())
  const listenUrl = Object.assign(new URL(database.url), { port: String(await proxy.listen()) }).href
  const { client } = await startLiveSidecar(t, {
    databaseUrl: database.url,
    databaseListenUrl: listenUrl,
    maxStalenessMs: 300,
    migrate: false,
  })
  t.equal(await hold(client, 'item:1'), 'entry')
  proxy.set({ admission: 'refuse' })
  proxy.reset()
  await eventually(async () => (await client.stats()).feed.state === 'down')
  const strong = async () =>
    (await client.request('GET', '/cache/get?key=item:1&consistency=strong')).body as { value: unknown }
  await query("select cache_bind('item', key => 'item:{id}')")
  await eventually(async () => JSON.stringify((await strong()).value) === '{"id":1,"v":"row"}')
  t.match(await client.set('item:1', 'new'), { status: 409 })
  await query("select cache_unbind('item:{id}')")
  await eventually(async () => (await strong()).value === 'entry')
  t.equal((await client.set('item:1', 'new')).status, 200)
})
