/** P17: the outbox, its drains, and the lease that they renew. */

import { Socket } from 'node:net'
import pg from 'pg'
import t, { type Test } from 'tap'
import { restoredAnnouncers } from '../../../src/postgres/bindings/announcer-owners.js'
import { DrainSession } from '../../../src/postgres/outbox/drain-session.js'
import { Drainer } from '../../../src/postgres/outbox/drainer.js'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { cacheDatabase, type FreshDatabase, ownServer } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { proxyTo } from '../../support/half-open-proxy.js'
import { isHit } from '../../support/held-answers.js'
import type { JsonClient } from '../../support/json-client.js'
import { recordingLog } from '../../support/recording-log.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const channel = 'outbox_test'
const items = `
  create table item (id int primary key, v text);
  insert into item select n, 'old' from generate_series(1, 9) n;
  select cache_bind('item', key => 'item:{id}')`

async function setting(t: Test): Promise<FreshDatabase> {
  const database = await cacheDatabase(t)
  await database.query(items)
  return database
}

/** Opens sessions that drain, and one that listens. */
async function drains(t: Test, { url }: Pick<FreshDatabase, 'url'>, count: number) {
  const heard: string[] = []
  const listener = await connected(t, url)
  listener.on('notification', ({ payload = '' }) => heard.push(payload))
  await listener.query(`listen ${channel}`)
  const clock = { now: () => performance.now() }
  const table = { schema: 'public', channel }
  const sessions = await Promise.all(
    Array.from({ length: count }, () => DrainSession.open({ url, table, limitMs: 0 }, clock)),
  )
  t.teardown(() => {
    for (const session of sessions) session.destroy()
  })
  return { sessions: sessions as [DrainSession, DrainSession], heard, listener }
}

async function connected(t: Test, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  return client
}

/** Returns true if the key is answered from memory as fresh. */
const isHeld = async (client: JsonClient, key: string) => isHit(await client.get(key))

t.test('the connection of drains is kept alive', async (t) => {
  const { url } = await setting(t)
  const kept: unknown[] = []
  const { setKeepAlive } = Socket.prototype
  t.teardown(() => Object.assign(Socket.prototype, { setKeepAlive }))
  Socket.prototype.setKeepAlive = function (...args: unknown[]) {
    kept.push(args[0])
    return this
  }
  const table = { schema: 'public', channel }
  const session = await DrainSession.open({ url, table, limitMs: 0 }, { now: () => performance.now() })
  t.teardown(() => session.destroy())
  t.strictSame(kept, [true])
})

t.test('a drain announces what it deletes, once', async (t) => {
  const database = await setting(t)
  const { sessions, heard, listener } = await drains(t, database, 2)
  const [one, other] = sessions
  await database.query("update item set v = 'new' where id < 3")
  t.match(await one.drain(), { rows: 2 })
  t.match(await other.drain(), { rows: 0 })
  await listener.query('select')
  t.strictSame(heard, ['["\\u0000drain","1","item:1","1","item:2","1"]'])

  heard.length = 0
  const long = 'ä'.repeat(300)
  await database.query(`
    create table word (w text primary key); select cache_bind('word', key => 'word:{w}');
    insert into word values ('${long}'), ('"a":b')`)
  await one.drain()
  await listener.query('select')
  const hash = /"\\u0000[0-9a-f]{64}","1"/
  t.match(heard.join(), hash)
  t.match(heard.join(), '"word:\\"a\\"%3Ab","1"')

  heard.length = 0
  await database.query('truncate item')
  await other.drain()
  await listener.query('select')
  t.strictSame(heard, ['*'])
})

t.test('a row that another drain is deleting is announced in any case', async (t) => {
  const database = await setting(t)
  const { sessions, heard, listener } = await drains(t, database, 1)
  const holder = await connected(t, database.url)
  for (const ending of ['rollback', 'commit']) {
    await database.query(`update item set v = '${ending}' where id = 1`)
    await holder.query('begin; delete from cache_outbox')
    let isOver = false
    const draining = sessions[0].drain().then((drained) => {
      isOver = true
      return drained
    })
    await eventually(async () => {
      const { rows } = await database.query<{ waits: boolean }>(
        `select wait_event_type = 'Lock' as waits from pg_stat_activity where application_name = 'caching-layer outbox'
           and datname = current_database()`,
      )
      return rows.some(({ waits }) => waits)
    })
    t.notOk(isOver, 'it waits')
    const waitingMs = performance.now()
    await holder.query(ending)
    const { rows, sentMs } = await draining
    t.equal(rows, ending === 'rollback' ? 1 : 0)
    t.ok(sentMs < waitingMs, 'it counts from the moment at which it was sent')
    await listener.query('select')
    t.equal(heard.length, 1, `after the ${ending}`)
  }
})

t.test('transactions that were under way during a drain are announced by the next one', async (t) => {
  const database = await setting(t)
  const { sessions, heard, listener } = await drains(t, database, 1)
  const [session] = sessions
  const early = await connected(t, database.url)
  const late = await connected(t, database.url)
  await session.drain()
  await early.query("begin; savepoint s; update item set v = 'a' where id = 1; release s")
  await late.query("begin; update item set v = 'b' where id = 2")
  await database.query("update item set v = 'c' where id = 3")
  t.match(await session.drain(), { rows: 1 })
  await late.query('commit')
  t.match(await session.drain(), { rows: 1 })
  t.match(await session.drain(), { rows: 0 })
  await early.query('commit')
  t.match(await session.drain(), { rows: 1 })
  await listener.query('select')
  t.same(
    heard.map((payload) => (JSON.parse(payload) as string[])[2]),
    ['item:3', 'item:2', 'item:1'],
  )
})

t.test('an idle database pays no transaction for drains', async (t) => {
  const database = await setting(t)
  const { sessions } = await drains(t, database, 1)
  await sessions[0].drain()
  const next = async () =>
    (await database.query<{ xid: string }>('select pg_snapshot_xmax(pg_current_snapshot())::text as xid'))
      .rows[0]?.xid
  // Autovacuum and tests in other databases draw ids of the same server.
  await eventually(async () => {
    const before = await next()
    for (let count = 0; count < 20; count++) await sessions[0].drain()
    return before === (await next())
  })
})

t.test('a sidecar that has ended drains no longer', async (t) => {
  const database = await setting(t)
  const drainers = async () => {
    const { rows } = await database.query(
      `select from pg_stat_activity where application_name = 'caching-layer outbox' and datname = current_database()`,
    )
    return rows.length
  }
  const { sidecar } = await startLiveSidecar(t, { databaseUrl: database.url })
  await eventually(async () => (await drainers()) === 1)
  await sidecar.close()
  await eventually(async () => (await drainers()) === 0)
})

t.test('drains of a large outbox at the same moment do not fail', async (t) => {
  const database = await setting(t)
  const { sessions, heard, listener } = await drains(t, database, 3)
  await database.query("insert into cache_outbox (key) select 'k' || n from generate_series(1, 100000) as n")
  const answers = await Promise.all(sessions.map((session) => session.drain()))
  t.equal(
    answers.reduce((sum, { rows }) => sum + rows, 0),
    100_000,
  )
  await listener.query('select')
  t.strictSame(heard, ['*'])
})

t.test('writers need no right on the cache, and nobody else can use its triggers', async (t) => {
  const database = await setting(t)
  const role = `writer_${Date.now()}`
  await database.query(`create role ${role} login; grant insert, update, select on item to ${role}`)
  t.teardown(() => database.query(`drop owned by ${role}; drop role ${role}`))
  const { client } = await startLiveSidecar(t, { databaseUrl: database.url, ttlSeconds: 0 })
  await eventually(() => isHeld(client, 'item:1'))
  const writer = await connected(t, Object.assign(new URL(database.url), { username: role }).href)
  await writer.query("update item set v = 'by the writer' where id = 1")
  await eventually(async () => ((await client.value('item:1')) as { v: string }).v === 'by the writer')
  await t.rejects(writer.query("insert into cache_outbox (key) values ('x')"), /permission denied/)
  const { rows } = await database.query<{ name: string }>(
    "select oid::regproc::text as name from pg_proc where proname like 'cache_announce_%' and prosecdef and pronargs = 0 and proname ~ '_[0-9a-f]{12}$'",
  )
  t.equal(rows.length, 1)
  await writer.query('create temporary table own (id int)')
  await t.rejects(
    writer.query(
      `create trigger theirs after insert on own for each statement execute function ${rows[0]?.name}()`,
    ),
    /permission denied for function/,
  )
})

t.test('the owner of a table gets no rights of whoever has bound it', async (t) => {
  const database = await setting(t)
  const role = `owner_${Date.now()}`
  await database.query(`
    create role ${role} login; create schema ${role} authorization ${role};
    create table ${role}.thing (id text primary key, day date unique);
    alter table ${role}.thing owner to ${role};
    select cache_bind('${role}.thing', key => 'thing:{id}'), cache_bind('${role}.thing', key => 'day:{day}')`)
  t.teardown(() => database.query(`drop owned by ${role} cascade; drop role ${role}`))
  const owner = await connected(t, Object.assign(new URL(database.url), { username: role }).href)
  await owner.query(`
    set search_path = ${role};
    create table ran_as (who text);
    grant insert on ran_as to public; grant usage on schema ${role} to public;
    create type odd as enum ('a', 'b');
    create function as_text(odd) returns text language plpgsql
      as 'begin insert into ${role}.ran_as values (current_user); return ''x''; end';
    create function as_json(odd) returns json language plpgsql
      as 'begin insert into ${role}.ran_as values (current_user); return ''1''; end';
    create cast (odd as text) with function as_text(odd) as implicit;
    create cast (odd as json) with function as_json(odd) as implicit;
    do $$ declare name text; begin
      for name in select tgname from pg_trigger where tgrelid = 'thing'::regclass and tgname ~ '_columns$' loop
        execute format('drop trigger %I on thing', name);
      end loop;
    end $$;
    alter table thing alter column id type odd using 'a', alter column day type odd using 'a';
    insert into thing values ('a', 'a'); update thing set id = 'b'; delete from thing`)
  t.strictSame((await owner.query('select * from ran_as')).rows, [])
  const { rows } = await database.query('select distinct key from cache_outbox order by key')
  t.strictSame(
    rows.map(({ key }) => key),
    ['day:a', 'thing:a', 'thing:b'],
  )
})

t.test(
  'what is in the search path of a writer does not run with the rights of whoever has bound it',
  async (t) => {
    const database = await setting(t)
    const role = `writer_${Date.now()}`
    await database.query(`
    create role ${role} login; create schema ${role} authorization ${role};
    create table page (id text primary key, no int, day date); create table bystander (who text);
    grant select, insert, update, delete, truncate on page to ${role}; grant insert on bystander to public;
    select cache_bind('page', key => 'page:{id}');
    select cache_bind_query('of:{day}:{no}', 'select id from page where day = $1 and no = $2',
      '{"page": ["{day}:{no}", "select {day}, {no}"]}')`)
    t.teardown(() => database.query(`drop owned by ${role} cascade; drop role ${role}`))
    const writer = await connected(t, Object.assign(new URL(database.url), { username: role }).href)
    const operators = {
      '||': ['text, text', 'text'],
      '~': ['text, text', 'boolean'],
      '=': ['text, text', 'boolean'],
      '<>': ['text, text', 'boolean'],
      '= ': ['oid, oid', 'boolean'],
      '=  ': ['name, name', 'boolean'],
      '=   ': ['name, text', 'boolean'],
    }
    const body =
      'language plpgsql as $$ begin insert into public.bystander values (current_user); return null; end $$'
    let number = 0
    for (const [operator, [types = '', result = '']] of Object.entries(operators)) {
      const [left, right] = types.split(', ')
      await writer.query(`
      create function ${role}.f${++number}(${types}) returns ${result} ${body};
      create operator ${role}.${operator} (leftarg = ${left}, rightarg = ${right}, function = ${role}.f${number})`)
    }
    for (const [name, types, result] of [
      ['to_regclass', 'text', 'regclass'],
      ['format', 'text, name', 'text'],
      ['concat', 'text', 'text'],
      ['concat', 'integer', 'text'],
      ['unnest', 'text[]', 'text'],
    ])
      await writer.query(`create function ${role}.${name}(${types}) returns ${result} ${body}`)
    for (const type of ['text', 'name', 'bool', 'oid'])
      await writer.query(
        `create domain ${role}.${type} as pg_catalog.varchar check (${role}.f1(value, '') = 'x')`,
      )
    const writes = `
    insert into public.page values ('a', 1, '2026-11-30'); update public.page set id = 'b', no = 2; truncate public.page`
    const announced = async () =>
      (await database.query('delete from cache_outbox returning coalesce(key, $$*$$) as key')).rows.map(
        ({ key }) => key,
      )
    await writer.query(`set search_path = ${role}, pg_catalog; ${writes}`)
    const keys = [
      '*',
      '["2026-11-30", "1"]',
      '["2026-11-30", "2"]',
      'of:2026-11-30:1',
      'of:2026-11-30:2',
      'page:a',
      'page:b',
    ]
    t.strictSame([...new Set(await announced())].sort(), keys)
    await database.query('alter schema public rename to elsewhere; create schema public')
    await writer.query(writes.replaceAll('public.page', 'elsewhere.page'))
    await database.query('drop schema public; alter schema elsewhere rename to public')
    t.strictSame([...new Set(await announced())].sort(), keys, 'in a schema that was renamed')
    t.strictSame((await database.query('select * from bystander')).rows, [])
  },
)

t.test('a drain that waits costs the hits of bound keys, and no others', async (t) => {
  const database = await setting(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: database.url, ttlSeconds: 0 })
  await database.query("insert into cache_entries (key, value) values ('plain', 'entry')")
  await eventually(() => isHeld(client, 'plain'))
  await eventually(() => isHeld(client, 'item:1'))
  await eventually(() => isHeld(client, 'item:99'))
  const holder = await connected(t, database.url)
  await holder.query('begin; lock table cache_outbox in access exclusive mode')
  await eventually(async () => !(await isHeld(client, 'item:1')) && !(await isHeld(client, 'item:99')))
  t.ok(await isHeld(client, 'plain'), 'the lease of other entries goes on')
  t.match(await client.value('item:1'), { v: 'old' }, 'the table answers')
  t.match((await client.stats()).feed, { state: 'live' })
  await holder.query('rollback')
  await eventually(() => isHeld(client, 'item:1'))
})

t.test(
  'a transaction whose snapshot is older than the binding, or than the name of the schema',
  async (t) => {
    const database = await setting(t)
    const writer = await connected(t, database.url)
    const begin = 'begin isolation level repeatable read; select from item'
    const stored = async () =>
      (await database.query('delete from cache_outbox returning key')).rows.map(({ key }) => key)
    await writer.query(begin)
    await database.query(
      "create table late (id int primary key); select cache_bind('late', key => 'late:{id}')",
    )
    await writer.query('insert into late values (1); truncate late; commit')
    t.strictSame(await stored(), ['late:1', null])
    await writer.query(begin)
    await database.query('alter schema public rename to renamed')
    await writer.query('insert into renamed.late values (2); truncate renamed.late; commit')
    await database.query('alter schema renamed rename to public')
    t.strictSame(await stored(), ['late:2', null])
  },
)

t.test('after a restore from a dump, changes are announced, and bindings are to be made again', async (t) => {
  const database = await setting(t)
  await database.query(`
    create schema renamed; alter table cache_outbox set schema renamed;
    create unlogged table cache_outbox (like renamed.cache_outbox including all);
    update item set id = 10 where id = 1; truncate item`)
  t.strictSame(
    (await database.query('select from renamed.cache_outbox')).rows,
    [],
    'it is that of another cache',
  )
  const keys = (await database.query('delete from cache_outbox returning key')).rows.map(({ key }) => key)
  t.strictSame(keys, ['item:10', 'item:1', null])
  const client = await connected(t, database.url)
  t.strictSame([...(await restoredAnnouncers(client, 'public'))], ['item:{id}'])
  await database.query("select cache_bind('item', key => 'item:{id}')")
  t.strictSame([...(await restoredAnnouncers(client, 'public'))], [])
})

t.test('the schema of the cache is renamed', async (t) => {
  const database = await setting(t)
  const writer = await connected(t, database.url)
  const { sessions } = await drains(t, database, 1)
  await writer.query("update item set v = 'before' where id = 1")
  t.match(await sessions[0].drain(), { rows: 1 })
  await database.query('alter schema public rename to renamed')
  await writer.query('set search_path = renamed')
  // The session has compiled the trigger's function already.
  await writer.query("update item set v = 'after' where id = 2")
  const { rows } = await database.query('select key from renamed.cache_outbox')
  t.strictSame(rows, [{ key: 'item:2' }])
})

t.test('a prepared transaction that outlives a crash', async (t) => {
  const server = await ownServer(t, { max_prepared_transactions: '2' })
  const url = server.url()
  await migrate(url)
  const admin = await connected(t, url)
  await admin.query(items)
  await admin.query("begin; update item set v = 'new' where id = 1; prepare transaction 'later'")
  admin.on('error', () => undefined)
  await server.stop('immediate')
  await server.start()
  const { client } = await startLiveSidecar(t, { databaseUrl: url, ttlSeconds: 0 })
  const again = await connected(t, url)
  t.same((await again.query('select from cache_outbox')).rowCount, 0, 'the outbox was lost')
  await eventually(() => isHeld(client, 'item:1'))
  t.match(await client.value('item:1'), { v: 'old' })
  await again.query("commit prepared 'later'")
  await eventually(async () => ((await client.value('item:1')) as { v: string }).v === 'new')
})

t.test('a crash of the server under a writer', async (t) => {
  const server = await ownServer(t)
  const url = server.url()
  await migrate(url)
  const admin = await connected(t, url)
  admin.on('error', () => undefined)
  await admin.query(items)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, ttlSeconds: 0 })
  await eventually(() => isHeld(client, 'item:1'))
  // Acknowledged, and perhaps not announced yet.
  await admin.query("update item set v = 'new' where id = 1")
  await server.stop('immediate')
  await server.start()
  await eventually(async () => ((await client.value('item:1')) as { v: string } | undefined)?.v === 'new')
  await eventually(() => isHeld(client, 'item:1'))
  t.match(await client.value('item:1'), { v: 'new' })
})

t.test('a drainer that is closed during a drain closes its connection', async (t) => {
  const { url, query } = await setting(t)
  const holder = await connected(t, url)
  await holder.query('begin; lock table cache_outbox in access exclusive mode')
  const proxy = await proxyTo(t, url)
  const drainer = new Drainer(
    { url: proxy.url, intervalMs: 1_000, limitMs: 1_000 },
    {
      clock: { now: () => performance.now() },
      log: recordingLog().log,
      counts: { statements: 0, rows: 0 },
      patternOf: () => undefined,
    },
  )
  t.teardown(() => drainer.close())
  drainer.drainFor({ schema: 'public', channel, hasMappings: false })
  await eventually(async () => {
    const { rowCount } = await query(
      "select from pg_stat_activity where application_name = 'caching-layer outbox' and wait_event_type = 'Lock'",
    )
    return rowCount === 1
  })
  t.equal(proxy.connections, 1)
  drainer.close()
  await eventually(() => proxy.connections === 0)
  await holder.query('rollback')
})
