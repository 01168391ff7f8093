/** P18: mappings run when the outbox is drained, and see what the drain sees. */

import { createHash } from 'node:crypto'
import pg from 'pg'
import t, { type Test } from 'tap'
import { DrainSession } from '../../../src/postgres/outbox/drain-session.js'
import { cacheDatabase, type FreshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import {
  bindFilmPage,
  bindingQuery,
  filmPage,
  filmPageDepends,
  filmTables,
} from '../../support/film-tables.js'
import { isHit } from '../../support/held-answers.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const channel = 'query_test'

async function setting(t: Test, sql = `${filmTables} ${bindFilmPage}`): Promise<FreshDatabase> {
  const database = await cacheDatabase(t)
  await database.query(sql)
  return database
}

async function connected(t: Test, { url }: FreshDatabase): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  return client
}

/** Opens a session that drains, and returns a function that returns the keys of its next drain. */
async function drains(t: Test, database: FreshDatabase) {
  const listener = await connected(t, database)
  const heard: string[] = []
  listener.on('notification', ({ payload = '' }) => heard.push(payload))
  await listener.query(`listen ${channel}`)
  const clock = { now: () => performance.now() }
  const session = await DrainSession.open(
    { url: database.url, table: { schema: 'public', channel }, limitMs: 500 },
    clock,
  )
  t.teardown(() => session.destroy())
  return async (): Promise<readonly string[]> => {
    await session.drain()
    await listener.query('select')
    const keys = heard.flatMap((payload) =>
      payload === '*'
        ? ['*']
        : (JSON.parse(payload) as string[]).filter((_text, index) => index % 2 === 0).slice(1),
    )
    heard.length = 0
    return keys.sort()
  }
}

t.test('each way from a row to keys, old and new', async (t) => {
  const database = await setting(t)
  const drained = await drains(t, database)
  const { query } = database
  await query("update film set title = 'x' where film_id < 3")
  t.strictSame(await drained(), ['film_page:1', 'film_page:2'])
  await query("update actor set name = 'x' where actor_id in (17, 18, 19)")
  t.strictSame(await drained(), ['film_page:1', 'film_page:2'])
  await query('update film_actor set film_id = 7 where film_id = 1')
  t.strictSame(await drained(), ['film_page:1', 'film_page:7'])
  await query('update actor set actor_id = 170 where actor_id = 17')
  t.strictSame(await drained(), ['film_page:2', 'film_page:7'])
  await query('delete from actor where actor_id = 18')
  t.strictSame(await drained(), ['film_page:2'])
  await query('begin; update actor set name = $$y$$ where actor_id = 18; delete from film_actor; rollback')
  t.strictSame(await drained(), [])
  await query('truncate actor')
  t.strictSame(await drained(), ['*'])
})

t.test('rows of partitioned tables, and of sessions in the replica role', async (t) => {
  const database = await setting(
    t,
    `create table part (id int, film_id int, v text) partition by range (id);
     create table part_1 partition of part for values from (0) to (10);
     create table plain (id int primary key, part_id int);
     insert into plain values (1, 5);
     ${bindingQuery(
       'parts_of:{film}',
       'select part.id, v, plain.id as plain from part left join plain on part_id = part.id where film_id = $1',
       { part: '{film_id}', plain: 'select film_id from part where id = {part_id}' },
       ', many => true',
     )}`,
  )
  const drained = await drains(t, database)
  const { query } = database
  await query("insert into part values (5, 1, 'x'), (6, 2, 'y')")
  t.strictSame(await drained(), ['parts_of:1', 'parts_of:2'])
  await query("update part_1 set v = 'z' where id = 6")
  t.strictSame(await drained(), ['parts_of:2'])
  await query(
    'set session_replication_role = replica; update plain set id = 2; reset session_replication_role',
  )
  t.strictSame(await drained(), ['parts_of:1'])
})

t.test('values of every type, spelt as keys spell them', async (t) => {
  const tenant = '0189d0a2-0000-7000-8000-0000000000ff'
  const database = await setting(
    t,
    `create table owner (tenant uuid, day date, no bigint, code varchar(20), note text);
     create table item (tenant uuid, day date, no bigint, code text);
     insert into item values ('${tenant}', '2026-11-28', 9007199254740993, 'a:b% "c"\\');
     ${bindingQuery(
       'item:{tenant}:{day}:{no}:{code}',
       'select note from item natural join owner where tenant = $1 and day = $2 and no = $3 and item.code = $4::text',
       {
         item: '{tenant}:{day}:{no}:{code}',
         owner:
           'select tenant, day, no, code from item where tenant = {tenant} and day = {day} and no = {no} and code = {code}',
       },
     )}`,
  )
  const drained = await drains(t, database)
  const writer = await connected(t, database)
  await writer.query("set datestyle = 'German'; set search_path = ''")
  await writer.query(
    `insert into public.owner values ('${tenant}', '28.11.2026', 9007199254740993, 'a:b% "c"\\', 'n')`,
  )
  const key = `item:${tenant}:2026-11-28:9007199254740993:a%3Ab%25 "c"\\`
  t.strictSame(await drained(), [key])
  await writer.query('update public.item set no = no')
  t.strictSame(await drained(), [key])
  await writer.query("insert into public.owner values (null, null, null, null, 'n')")
  t.strictSame(await drained(), [], 'no key has a null')
})

t.test('a row that another transaction adds between a change and its commit', async (t) => {
  const database = await setting(t)
  const { query } = database
  const { client } = await startLiveSidecar(t, { databaseUrl: database.url, ttlSeconds: 0 })
  const actors = async () => ((await client.value('film_page:5')) as { actors: string[] }).actors
  const isHeld = async () => isHit(await client.get('film_page:5'))
  await eventually(isHeld)
  // T1 renames the actor, T2 puts him into film 5. The page of film 5 is read between their commits.
  const first = await connected(t, database)
  await first.query("begin; update actor set name = 'New name' where actor_id = 17")
  await query('insert into film_actor values (5, 17)')
  await eventually(async () => (await actors()).includes('Actor 17') && (await isHeld()))
  await first.query('commit')
  await eventually(async () => (await actors()).includes('New name'))
  t.pass('film 5 has the new name')
})

t.test('a row that another transaction removes while a drain waits', async (t) => {
  const database = await setting(t)
  const { query } = database
  const drained = await drains(t, database)
  await query("update actor set name = 'New name' where actor_id = 17")
  const holder = await connected(t, database)
  await holder.query('begin; select from cache_outbox for update')
  const draining = drained()
  await eventually(async () => {
    const { rowCount } = await query(
      `select from pg_stat_activity where application_name = 'caching-layer outbox' and wait_event_type = 'Lock'
         and datname = current_database()`,
    )
    return rowCount === 1
  })
  await query('delete from film_actor where film_id = 2 and actor_id = 17')
  await holder.query('rollback')
  t.strictSame(await draining, ['film_page:1', 'film_page:2'], 'the mapping sees what the drain sees')
  t.strictSame(await drained(), ['film_page:2'])
})

/** What is announced of the first mapping of a binding if it does not say which keys have changed. */
const anyKeyOf = (pattern: string) =>
  `\u0000cache_map_${createHash('md5').update(pattern).digest('hex').slice(0, 12)}_1`

t.test('a mapping that cannot be run leads to any key of its binding', async (t) => {
  const failing = { ...filmPageDepends, 'public.actor': 'select film_id / ({actor_id} - 17) from film_actor' }
  const database = await setting(t, `${filmTables} ${bindingQuery('film_page:{id}', filmPage, failing)}`)
  const drained = await drains(t, database)
  const { query } = database
  await query(
    "update actor set name = 'x' where actor_id = 18; update film set title = 'x' where film_id = 9",
  )
  t.strictSame(await drained(), ['film_page:1', 'film_page:2', 'film_page:9'])
  await query("update actor set name = 'x' where actor_id = 17")
  t.strictSame(await drained(), [anyKeyOf('film_page:{id}')])
  await query("update actor set name = 'y' where actor_id = 18; select cache_unbind('film_page:{id}')")
  t.strictSame(await drained(), [anyKeyOf('film_page:{id}')], 'the mapping is gone')
  await query("insert into cache_outbox (key, mapping) values ('[1]', 'none of ours')")
  t.strictSame(await drained(), ['*'], 'it is none')
})

t.test(
  'a mapping that is too slow leads to any key of its binding, and is not tried again at once',
  async (t) => {
    const slow = {
      ...filmPageDepends,
      'public.actor': 'select film_id from film_actor where actor_id = slowly({actor_id})',
    }
    const database = await setting(
      t,
      `${filmTables} create function slowly(i int) returns int immutable language plpgsql as
       $$ begin if i = 17 then perform pg_sleep(600); end if; return i; end $$;
     ${bindingQuery('slow_page:{id}', filmPage, slow)}; ${bindFilmPage}`,
    )
    const drained = await drains(t, database)
    const { query } = database
    const rename = (id: number) => query(`update actor set name = 'x' where actor_id = ${id}`)
    await query("update film set title = 'x' where film_id = 9")
    await rename(17)
    t.strictSame(
      await drained(),
      [anyKeyOf('slow_page:{id}'), anyKeyOf('film_page:{id}'), 'film_page:9', 'slow_page:9'].sort(),
      'no mapping is run after that, in this drain',
    )
    await rename(18)
    t.strictSame(
      await drained(),
      [anyKeyOf('slow_page:{id}'), 'film_page:2'],
      'others are run in the next one',
    )
    const { rows } = await query(
      `select from pg_stat_activity
       where datname = current_database() and application_name = 'caching-layer outbox' and state <> 'idle'`,
    )
    t.strictSame(rows, [], 'nothing runs on')
  },
)

t.test('a mapping to more keys than are named', async (t) => {
  const database = await setting(
    t,
    `create table setting (v int); create table page (id int primary key);
     insert into page select generate_series(1, 10001);
     ${bindingQuery('page:{id}', 'select page.id, v from page, setting where page.id = $1', { page: '{id}', setting: 'select id from page' })}`,
  )
  const drained = await drains(t, database)
  await database.query('insert into setting values (1)')
  t.strictSame(await drained(), ['*'])
  await database.query(
    'alter table page disable trigger all; delete from page where id > 2; alter table page enable trigger all',
  )
  await database.query('update setting set v = 2')
  t.strictSame(await drained(), ['page:1', 'page:2'])
})

t.test('a mapping of more changed rows than are named is not run', async (t) => {
  const database = await setting(
    t,
    `create table page (id int primary key);
     ${bindingQuery('page:{id}', 'select id from page where id = $1', { page: 'select {id}' })}`,
  )
  const drained = await drains(t, database)
  await database.query('insert into page select generate_series(1, 10001)')
  t.strictSame(await drained(), [anyKeyOf('page:{id}')])
  await database.query('delete from page where id > 9999')
  t.strictSame(await drained(), ['page:10000', 'page:10001'])
})

t.test('a mapping has the rights of its owner, and nobody else may run it', async (t) => {
  const database = await setting(t)
  const { query } = database
  const role = `guest_${Date.now()}`
  await query(`
    create role ${role} login; grant select on film, film_actor, actor to ${role};
    alter table film_actor enable row level security`)
  t.teardown(() => query(`drop owned by ${role}; drop role ${role}`))
  const guest = await connected(
    t,
    Object.assign({ ...database }, { url: Object.assign(new URL(database.url), { username: role }).href }),
  )
  t.strictSame((await guest.query('select film_id from film_actor')).rows, [], 'a policy hides the rows')
  const { rows } = await query<{ name: string }>(
    "select oid::regproc::text as name from pg_proc where proname ~ '^cache_map_'",
  )
  t.equal(rows.length, 1)
  await t.rejects(
    guest.query(`select ${rows[0]?.name}('["17"]')`),
    /permission denied for function cache_map_/,
  )
  await t.rejects(
    guest.query(`select cache_dependents('x', '{}')`),
    /permission denied for function cache_dependents/,
  )
  await query(`grant execute on function cache_dependents(text, text[]) to ${role}`)
  const ask = `select cache_dependents('${rows[0]?.name}', array['["17"]']) as key`
  t.strictSame((await guest.query(ask)).rows, [{ key: null }], 'any key, without the right to the mapping')
  await query(`grant execute on function ${rows[0]?.name}(json) to ${role}`)
  const dependents = await guest.query<{ key: string }>(
    `select cache_dependents('${rows[0]?.name}', array['["17"]']) as key`,
  )
  t.strictSame(dependents.rows.map(({ key }) => key).sort(), ['film_page:1', 'film_page:2'])
})
