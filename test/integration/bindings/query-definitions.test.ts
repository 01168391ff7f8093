/** P18: definitions that change what a query answers, and faults of a query. */

import pg from 'pg'
import t, { type Test } from 'tap'
import { inspectBindings } from '../../../src/postgres/bindings/binding-inspection.js'
import type { Query } from '../../../src/postgres/schema/table-inspection.js'
import { cacheDatabase, type FreshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { bindFilmPage, bindingQuery, filmPageDepends, filmTables } from '../../support/film-tables.js'
import { hold, inspectNow } from '../../support/held-answers.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const viewed = bindingQuery(
  'viewed:{id}',
  'select *, shout(title) as loud from film_view where film_id = $1',
  filmPageDepends,
)
const definitions = `
  ${filmTables}
  create type mood as enum ('sad', 'glad');
  alter table actor add column mood mood default 'sad';
  create view cast_view as select film_id, name, mood from film_actor join actor using (actor_id);
  create view film_view as select film.*, (select min(name) from cast_view where film_id = film.film_id) as first from film;
  create function shout(text) returns text stable language sql begin atomic select upper($1); end;
  create table other (id int primary key);
  ${bindFilmPage};
  ${viewed};
  select cache_bind('other', key => 'other:{id}')`

const inspect = (query: FreshDatabase['query']) => query(inspectNow)

t.test('the fingerprint of a query changes with everything that its answers depend on', async (t) => {
  const database = await cacheDatabase(t)
  await database.query(definitions)
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  t.teardown(() => client.end())
  const send: Query = async (sql) => (await client.query(sql)).rows
  const found = async () => {
    const { sources } = await inspectBindings(send, 'public')
    return new Map(sources.map(({ pattern, fingerprint }) => [pattern.text, fingerprint]))
  }
  const changedBy = async (sql: string): Promise<readonly string[]> => {
    const before = await found()
    await client.query(sql)
    const after = await found()
    return [...after.keys()].filter((pattern) => before.get(pattern) !== after.get(pattern))
  }
  const role = `reader_${database.name}`
  await client.query(`create role ${role}`)
  t.teardown(() => database.query(`drop owned by ${role}; drop role ${role}`))
  const page = 'film_page:{id}'
  const ofView = 'viewed:{id}'
  const expected: readonly (readonly [sql: string, changed: readonly string[]])[] = [
    ['alter table film add column n int default 7', [page, ofView]],
    ['alter table actor rename column name to full_name', [page, ofView]],
    ["alter type mood rename value 'sad' to 'blue'", [page, ofView]],
    [
      'create or replace view cast_view as select film_id, upper(full_name) as name, mood from film_actor join actor using (actor_id)',
      [ofView],
    ],
    ['alter view film_view set (security_barrier = true)', [ofView]],
    [
      'create or replace function shout(text) returns text stable language sql begin atomic select lower($1); end',
      [ofView],
    ],
    ['alter table film_actor enable row level security', [page, ofView]],
    ['create policy odd on film_actor using (true)', [page, ofView]],
    [`grant select on actor to ${role}`, [page, ofView]],
    ['vacuum full actor', [page, ofView]],
    ['alter table actor disable trigger user', [page, ofView]],
    ['alter table actor rename column full_name to name', [page, ofView]],
    // Its triggers are new. Those of other queries on the same tables are not.
    [bindFilmPage, [page]],
    [
      "create function nothing() returns trigger language plpgsql as 'begin return null; end'; create trigger own after insert on film execute function nothing()",
      [],
    ],
    ["select cache_invalidate_prefix('film_page:')", [page]],
    ['alter table other add column n int', ['other:{id}']],
    ["insert into film values (100, 'x'); update film set title = 'y'; delete from film; analyze film", []],
    ['create table unrelated (id int); create view unrelated_view as select * from film', []],
  ]
  for (const [sql, changed] of expected) t.same(await changedBy(sql), changed, sql)
  const { digest } = await inspectBindings(send, 'public')
  await client.query(bindFilmPage)
  t.not((await inspectBindings(send, 'public')).digest, digest, 'probes notice a query that is bound again')
})

async function setting(t: Test) {
  const database = await cacheDatabase(t)
  await database.query(definitions)
  const started = await startLiveSidecar(t, { databaseUrl: database.url, migrate: false, ttlSeconds: 0 })
  return { ...started, query: database.query }
}

t.test('a view or a function that is replaced is noticed', async (t) => {
  const { client, query } = await setting(t)
  const becomes = async (sql: string, member: string, value: unknown) => {
    await hold(client, 'viewed:1')
    // A superuser owns the cache, so an event trigger announces the definition.
    await query(sql)
    await eventually(
      async () => ((await client.value('viewed:1')) as Record<string, unknown>)[member] === value,
    )
    t.pass(sql)
  }
  await becomes(
    'create or replace view cast_view as select film_id, upper(name) as name, mood from film_actor join actor using (actor_id)',
    'first',
    'ACTOR 17',
  )
  await becomes(
    'create or replace function shout(text) returns text stable language sql begin atomic select $1 || $2; end'.replace(
      '$2',
      "'!'",
    ),
    'loud',
    'Film 1!',
  )
  await becomes('alter table film rename to movie', 'title', 'Film 1')
  await becomes("update movie set title = 'New'", 'title', 'New')
})

t.test('each fault of a query is answered with 503 and named, and other keys are answered', async (t) => {
  const { client, query, log, ops } = await setting(t)
  await query('insert into other values (1)')
  const again = `select cache_bind_query(pattern, query, depends, is_many, ttl, group_name, names_in) from cache_bound_queries where pattern = 'viewed:{id}'`
  const faults: readonly [fault: string, sql: string, shown: RegExp, logged: RegExp, cure: string][] = [
    [
      'a view reads another table',
      'create or replace view cast_view as select film_id, name, mood from film_actor join actor using (actor_id) where exists (select from other)',
      /reads a table whose changes are not announced/,
      /the query reads public\.other by now/,
      'create or replace view cast_view as select film_id, name, mood from film_actor join actor using (actor_id)',
    ],
    [
      'a function becomes volatile',
      'alter function shout(text) volatile',
      /does not always give the same answer/,
      /calls shout\(text\), which is volatile/,
      'alter function shout(text) stable',
    ],
    [
      'a function reads the clock',
      'create or replace function shout(text) returns text stable language sql begin atomic select now()::text; end',
      /does not always give the same answer/,
      /calls now\(\)/,
      'create or replace function shout(text) returns text stable language sql begin atomic select upper($1); end',
    ],
    [
      'a table is swapped',
      'alter table actor rename to former; create table actor (like former including all); insert into actor select * from former',
      /a table of its query was replaced/,
      /public\.actor is another table than the one that the query depends on/,
      'drop table actor; alter table former rename to actor',
    ],
    [
      'a trigger is disabled',
      'alter table actor disable trigger all',
      /changes of a table of its query are not announced/,
      /changes of public\.actor are not announced/,
      again,
    ],
    [
      'the function of a mapping is dropped',
      `do $$ begin execute (select 'drop function ' || oid::regprocedure from pg_proc where proname = 'cache_map_' || left(md5('viewed:{id}'), 12) || '_1'); end $$`,
      /the function of its query was dropped/,
      /the function of the query of a dependency was dropped/,
      again,
    ],
    [
      'a table gets a child',
      'create table heir () inherits (actor)',
      /has relatives whose changes are not announced/,
      /public\.actor has relatives by inheritance/,
      'drop table heir',
    ],
    [
      'a column that leads to keys is renamed',
      'alter table film_actor rename column film_id to film',
      /a column that leads to its keys was dropped or renamed/,
      /there is no column public\.film_actor\.film_id/,
      'alter table film_actor rename column film to film_id',
    ],
    [
      'a view is dropped, and the query with it',
      'drop view film_view cascade',
      /the function of its query was dropped/,
      /the function of the query was dropped/,
      `create view film_view as select film.*, (select min(name) from cast_view where film_id = film.film_id) as first from film; ${again}`,
    ],
  ]
  for (const [fault, sql, shown, logged, cure] of faults)
    await t.test(fault, async (t) => {
      await hold(client, 'viewed:1')
      await hold(client, 'viewed:404')
      await query(sql)
      await inspect(query)
      for (const key of ['viewed:1', 'viewed:404']) {
        await eventually(async () => (await client.get(key)).status === 503)
        const { body } = await client.get(key)
        t.match(body, { detail: shown, type: /#binding-unusable$/ }, key)
        t.match(body.detail, /bound to a query by viewed:\{id\}/)
        t.notMatch(String(body.detail), /public|actor/, 'no object of the database is named')
      }
      t.ok(log.some((line) => logged.test(line) && line.includes('a binding cannot be used')))
      t.match(await client.value('other:1'), { id: 1 })
      t.equal((await ops.request('GET', '/readyz')).status, 200)
      await query(cure)
      await inspect(query)
      await eventually(async () => (await client.get('viewed:1')).status === 200)
    })
})

t.test('a new binding takes over keys that are held, and its end gives them back', async (t) => {
  const { client, query } = await setting(t)
  await query("insert into cache_entries (key, value) values ('title:1', 'entry')")
  t.equal(await hold(client, 'title:1'), 'entry')
  t.equal(await hold(client, 'title:2'), undefined)
  const bound = (columns: string) =>
    bindingQuery('title:{id}', `select ${columns} from film where film_id = $1`, { film: '{film_id}' })
  await query(bound('title'))
  await eventually(async () => ((await client.value('title:1')) as { title?: string }).title === 'Film 1')
  await eventually(
    async () => ((await client.value('title:2')) as { title?: string } | undefined)?.title === 'Film 2',
  )
  await query(bound('film_id'))
  await eventually(async () => ((await client.value('title:1')) as { film_id?: number }).film_id === 1)
  await query("select cache_unbind('title:{id}')")
  await eventually(async () => (await client.value('title:1')) === 'entry')
  await eventually(async () => (await client.get('title:2')).status === 404)
})

t.test('row-level security and the rights of the role apply', async (t) => {
  const database = await cacheDatabase(t)
  const { query } = database
  const role = `reader_${Date.now()}`
  await query(`create role ${role} login`)
  t.teardown(() => query(`drop owned by ${role}; drop role ${role}`))
  // Roles that may drain get the right to the mapping when the query is bound.
  await query(`grant execute on function cache_dependents(text, text[]) to ${role};
    ${definitions};
    grant select, insert, update, delete on cache_entries, cache_marks, cache_sweeper, cache_leases to ${role};
    grant select, delete on cache_outbox to ${role};
    grant select on cache_migrations, film, other to ${role}`)
  const url = Object.assign(new URL(database.url), { username: role }).href
  const { client } = await startLiveSidecar(t, { databaseUrl: url, migrate: false, ttlSeconds: 0 })
  t.match(await client.get('film_page:1'), {
    status: 503,
    body: { detail: /may not read what its query reads/ },
  })
  await query(
    `grant select (film_id, actor_id) on film_actor to ${role}; grant select (actor_id, name) on actor to ${role}`,
  )
  await inspect(query)
  await eventually(async () => (await client.get('film_page:1')).status === 200)
  await hold(client, 'film_page:1')
  await query(
    `alter table film enable row level security; create policy odd on film for select to ${role} using (film_id % 2 = 0)`,
  )
  await inspect(query)
  await eventually(async () => (await client.get('film_page:1')).status === 404)
  t.match(await hold(client, 'film_page:2'), { title: 'Film 2' })
  // A mapping has the rights of its owner, and finds the key of a row that the role sees.
  await query("update actor set name = 'Other' where actor_id = 18")
  await eventually(async () => JSON.stringify(await client.value('film_page:2')).includes('Other'))
  await query(`revoke select (name) on actor from ${role}`)
  await inspect(query)
  await eventually(async () => (await client.get('film_page:2')).status === 503)
})
