/** A binding whose table or query is in trouble: the keys of others, and ordinary entries, are as well as before. */

import pg from 'pg'
import t, { type Test } from 'tap'
import { inspectBindings } from '../../../src/postgres/bindings/binding-inspection.js'
import type { Query } from '../../../src/postgres/schema/table-inspection.js'
import { cacheDatabase, type FreshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { bindingQuery } from '../../support/film-tables.js'
import { hold, inspectNow, isHit, untilApplied } from '../../support/held-answers.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const tables = `
  create table item (id int primary key, v int);
  insert into item select n, n from generate_series(0, 400) n;
  create table other (id int primary key, v text);
  insert into other values (1, 'other');
  select cache_bind('item', key => 'item:{id}');
  select cache_bind('other', key => 'other:{id}');
  insert into cache_entries (key, value) values ('plain', '"entry"')
`

/** A sidecar on such tables, as a role of its own. Nothing expires, so what is not announced is never noticed. */
async function setting(t: Test, sql = tables) {
  const database = await cacheDatabase(t)
  const { query } = database
  const role = `sidecar_${Date.now()}`
  await query(sql)
  await query(`create role ${role} login;
    grant select, insert, update, delete on all tables in schema public to ${role};
    grant usage on all sequences in schema public to ${role};
    grant execute on all functions in schema public to ${role}`)
  t.teardown(async () => {
    await sidecar.close()
    await query(`drop owned by ${role}; drop role ${role}`)
  })
  const url = Object.assign(new URL(database.url), { username: role }).href
  const { client, sidecar } = await startLiveSidecar(t, { databaseUrl: url, migrate: false, ttlSeconds: 0 })
  return { database, query, role, client }
}

type Setting = Awaited<ReturnType<typeof setting>>

/** Changes everything that is held, by a comparison. */
const compareAll = ({ query }: FreshDatabase) =>
  query("select pg_notify(cache_channel('public', 'cache_entries'), '*')")

/** Requires that an ordinary entry and a row of another table are served from memory as fresh. */
async function othersAreWell({ client }: Setting): Promise<void> {
  for (const key of ['plain', 'other:1']) await hold(client, key)
  t.equal((await client.set('written', 1)).body.db_written, true)
}

t.test('a table in a schema that the sidecar may not use', async (t) => {
  const place = await setting(t)
  const { query, role, client } = place
  await query(`create schema private; create table private.t (id int primary key);
    insert into private.t values (1); grant select on private.t to ${role};
    select cache_bind('private.t', key => 't:{id}'); ${inspectNow}`)
  await eventually(async () => (await client.get('t:1')).status === 503)
  t.match((await client.get('t:1')).body.detail, /may not read/)
  await othersAreWell(place)
  await query(`grant usage on schema private to ${role}; ${inspectNow}`)
  await hold(client, 't:1')
  await query(`revoke usage on schema private from ${role}; ${inspectNow}`)
  await eventually(async () => (await client.get('t:1')).status === 503)
  await othersAreWell(place)
})

t.test('a query that reads a table of such a schema through a view', async (t) => {
  const place = await setting(t)
  const { query, role, client } = place
  await query(`create schema private; create table private.t (id int primary key, v int);
    insert into private.t values (1, 1); create view shown as select * from private.t; grant select on shown to ${role};
    ${bindingQuery('shown:{id}', 'select v from shown where id = $1', { 'private.t': '{id}' })};
    grant execute on all functions in schema public to ${role}; ${inspectNow}`)
  await eventually(async () => (await client.get('shown:1')).status === 200)
  t.same(await hold(client, 'shown:1'), { v: 1 })
  await othersAreWell(place)
})

t.test('a comparison that takes too long for a query', async (t) => {
  const place = await setting(
    t,
    `${tables}; ${bindingQuery(
      'slow:{id}',
      'select id, (select count(*) from generate_series(1, 200000) as n where n > item.id) from item where id = $1',
      { item: '{id}' },
    )}`,
  )
  const { database, client } = place
  await othersAreWell(place)
  for (let id = 1; id <= 200; id++) await client.get(`slow:${id}`)
  t.ok(isHit(await client.get('slow:200')))
  await compareAll(database)
  await eventually(async () => !isHit(await client.get('slow:200')))
  await eventually(async () => (await client.stats()).feed.state === 'live')
  await othersAreWell(place)
})

t.test('a lock on one table while everything is compared', async (t) => {
  const place = await setting(t)
  const { database, client } = place
  await othersAreWell(place)
  await hold(client, 'item:1')
  const holder = new pg.Client({ connectionString: database.url })
  await holder.connect()
  t.teardown(() => holder.end())
  await holder.query('begin; lock table item in access exclusive mode')
  await compareAll(database)
  await eventually(async () => (await client.stats()).feed.revalidations > 0)
  await eventually(async () => (await client.stats()).feed.state === 'live')
  await othersAreWell(place)
  await holder.query('rollback')
  await hold(client, 'item:1')
})

t.test('a mapping that fails by an assertion leads to any key of its binding', async (t) => {
  const place = await setting(
    t,
    `${tables}; create function checked(i int) returns int immutable language plpgsql as
       $$ begin assert i > 0; return i; end $$;
     ${bindingQuery('page:{id}', 'select item.id, other.v from item, other where item.id = $1', {
       item: '{id}',
       other: 'select checked({id}) from item',
     })}`,
  )
  const { database, query, client } = place
  await hold(client, 'page:3')
  await query("insert into other values (-5, 'negative')")
  await untilApplied(database, client)
  await othersAreWell(place)
})

t.test('a mapping that takes too long drops the keys of its binding, and holds up no others', async (t) => {
  const place = await setting(
    t,
    `${tables}; create table note (id int primary key, v text); insert into note values (1, 'old');
     create function slowly(i int) returns int immutable language plpgsql as
       $$ begin perform pg_sleep(600); return i; end $$;
     ${bindingQuery('page:{id}', 'select item.id, note.v from item, note where item.id = $1', {
       item: '{id}',
       note: 'select slowly({id}) from item',
     })}`,
  )
  const { database, query, client } = place
  t.same(await hold(client, 'page:3'), { id: 3, v: 'old' })
  await othersAreWell(place)
  const { revalidations } = (await client.stats()).feed
  for (const v of ['new', 'newer']) {
    await query(`update note set v = '${v}'; update other set v = '${v}'`)
    await untilApplied(database, client)
    t.same(await client.value('page:3'), { id: 3, v })
    t.same(await client.value('other:1'), { id: 1, v })
    await othersAreWell(place)
  }
  t.equal((await client.stats()).feed.revalidations, revalidations, 'nothing else is compared')
})

t.test('a row that cannot be read fails none of those beside it', async (t) => {
  const { query, role, client } = await setting(t)
  await query(`alter table item enable row level security;
    create policy inverse on item to ${role} using (100 / v > 0); ${inspectNow}`)
  await eventually(async () => (await client.get('item:0')).status === 503)
  // Those after the first one share a statement.
  const ids = Array.from({ length: 40 }, (_, index) => 39 - index)
  for (let round = 0; round < 5; round++) {
    const answers = await Promise.all(
      ids.map((id) => client.request('GET', `/cache/get?key=item:${id}&consistency=strong`)),
    )
    t.same(
      answers.map(({ status }) => status),
      ids.map((id) => (id === 0 ? 503 : 200)),
    )
  }
})

t.test('types that only the text of a query names', async (t) => {
  const place = await setting(
    t,
    `${tables}; create type mood as enum ('sad', 'happy'); create type pair as (a int, b int);
     ${bindingQuery(
       'felt:{id}',
       "select 'sad'::mood as mood, enum_range(null::mood) as all, row(1, id)::pair as pair from item where id = $1",
       { item: '{id}' },
     )}`,
  )
  const { query, client } = place
  const becomes = async (sql: string, value: unknown) => {
    await hold(client, 'felt:1')
    await query(`${sql}; ${inspectNow}`)
    await eventually(async () => JSON.stringify(await client.value('felt:1')) === JSON.stringify(value))
    t.pass(sql)
  }
  const pair = { a: 1, b: 1 }
  await becomes("alter type mood rename value 'sad' to 'low'", { mood: 'low', all: ['low', 'happy'], pair })
  await becomes("alter type mood add value 'calm'", { mood: 'low', all: ['low', 'happy', 'calm'], pair })
  await becomes('alter type pair rename attribute b to c', {
    mood: 'low',
    all: ['low', 'happy', 'calm'],
    pair: { a: 1, c: 1 },
  })
})

t.test('other roles of the sidecar, on which policies depend, change the fingerprint', async (t) => {
  const { database, query, role } = await setting(t)
  const session = new pg.Client({
    connectionString: Object.assign(new URL(database.url), { username: role }).href,
  })
  await session.connect()
  t.teardown(() => session.end())
  const readers = `readers_${Date.now()}`
  await query(`create role ${readers}`)
  t.teardown(() => query(`drop role ${readers}`))
  const send: Query = async (sql) => (await session.query(sql)).rows
  const fingerprints = new Set<string | undefined>()
  for (const sql of [
    `grant ${readers} to ${role}`,
    `revoke ${readers} from ${role}`,
    `alter role ${role} bypassrls`,
  ]) {
    const before = await inspectBindings(send, 'public')
    await query(sql)
    const after = await inspectBindings(send, 'public')
    t.not(after.sources[0]?.fingerprint, before.sources[0]?.fingerprint, sql)
    fingerprints.add(after.sources[0]?.fingerprint)
  }
  t.equal(fingerprints.size, 3)
})

t.test('an index with another collation than its column makes no row unique', async (t) => {
  const { query } = await cacheDatabase(t)
  await query(`create collation careless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create table word (code text collate careless); create unique index on word (code collate "C")`)
  await t.rejects(query("select cache_bind('word', key => 'word:{code}')"), /has no unique index on code/)
  await query("create unique index on word (code); select cache_bind('word', key => 'word:{code}')")
})
