/** P18: what cache_bind_query() refuses, and what a binding leaves in the database. */
import pg from 'pg'
import t from 'tap'
import { cacheDatabase } from '../../support/database.js'
import {
  bindFilmPage,
  bindingQuery,
  filmPage,
  filmPageDepends,
  filmTables,
} from '../../support/film-tables.js'

const database = await cacheDatabase(t)
const { query } = database
await query(`
  ${filmTables}
  create view cast_of as select film_id, name from film_actor join actor using (actor_id);
  create view page as select film.*, cast_of.name from film join cast_of using (film_id);
  create materialized view copy as select * from film;
  create table parent (id int); create table child () inherits (parent);
  create table partitioned (id int) partition by range (id);
  create table partition_1 partition of partitioned for values from (0) to (9);
  create table priced (price numeric, word text, at timestamptz);
  create function changing(int) returns int language sql as 'select 1';
  create function hidden(int) returns text stable language sql as 'select title from film where film_id = $1';
  create function shown(int) returns text stable language sql begin atomic select title from film where film_id = $1; end;
  create function pure(int) returns int immutable language plpgsql as 'begin return 1; end';
  create function clock(int) returns timestamptz stable language sql begin atomic select now(); end;
  create function add_title(text, int) returns text stable language plpgsql as
    'begin return (select title from film where film_id = $2); end';
  create aggregate titles (int) (sfunc = add_title, stype = text);
  create operator %% (leftarg = int, rightarg = int, function = int4pl);
  create function add_one(int, int) returns int language sql as 'select 1';
  create operator +% (leftarg = int, rightarg = int, function = add_one);
`)

async function failure(sql: string): Promise<pg.DatabaseError> {
  return query(sql).then(
    () => {
      throw new Error(`accepted: ${sql}`)
    },
    (error: pg.DatabaseError) => error,
  )
}

const film = { film: '{film_id}' }
/** Binds a query of films, with this in the list of columns. */
const reading = (column: string, more?: string) =>
  bindingQuery('p:{id}', `select film.*, ${column} from film where film_id = $1`, film, more)
const mappedBy = (mapping: unknown) =>
  bindingQuery('film_page:{id}', filmPage, { ...filmPageDepends, 'public.actor': mapping })
const sometime = ", ttl => '1 minute'"

const refusals: readonly [why: string, sql: string, message: RegExp, hint?: RegExp][] = [
  [
    'a table that depends leaves out',
    bindingQuery('p:{id}', filmPage, film),
    /^the query reads public\.actor, public\.film_actor, which depends leaves out$/,
    /\{"public\.actor": "\{column\}"\}/,
  ],
  [
    'a table behind two views',
    bindingQuery('p:{id}', 'select * from page where film_id = $1', { ...film, film_actor: '{film_id}' }),
    /reads public\.actor, which depends/,
  ],
  [
    'a table behind a function',
    bindingQuery('p:{id}', 'select shown($1)', { actor: '{actor_id}' }),
    /reads public\.film, which/,
  ],
  [
    'a table that only a mapping reads',
    bindingQuery('p:{id}', 'select * from film where film_id = $1', {
      film: 'select film_id from film_actor where film_id = {film_id}',
    }),
    /^a query of depends reads public\.film_actor, which/,
  ],
  [
    'a materialized view',
    bindingQuery('p:{id}', 'select * from copy where film_id = $1', film),
    /reads public\.copy, which/,
    /a materialized view cannot be announced/,
  ],
  [
    'a materialized view in depends',
    bindingQuery('p:{id}', 'select * from copy where film_id = $1', { copy: '{film_id}' }),
    /is a materialized view/,
  ],
  [
    'a catalogue',
    bindingQuery('p:{id}', 'select * from pg_class where oid = $1::int', film),
    /reads pg_catalog\.pg_class, which/,
    /catalogue are not announced/,
  ],
  [
    'a parent',
    bindingQuery('p:{id}', 'select * from parent where id = $1', { parent: '{id}' }),
    /by inheritance/,
  ],
  [
    'a partition',
    bindingQuery('p:{id}', 'select * from partition_1 where id = $1', { partition_1: '{id}' }),
    /is a partition/,
  ],
  [
    'a volatile function',
    reading('random()', sometime),
    /calls random\(\), which is volatile/,
    /stable or immutable/,
  ],
  [
    'a volatile function of a user',
    reading('changing(1)', sometime),
    /calls public\.changing\(integer\), which is vol/,
  ],
  [
    'an aggregate whose functions may read tables',
    reading('(select titles(1))'),
    /titles\(integer\), which is not immutable, and whose body is not known, and has no ttl/,
  ],
  [
    'a volatile operator',
    reading('1 +% 1', sometime),
    /public\.add_one\(integer,integer\), which is volatile/,
  ],
  ['the clock', reading('now()'), /calls now\(\), which reads the clock/, /^Set ttl/],
  ['the date', reading('current_date'), /such as CURRENT_DATE or CURRENT_USER/, /^Set ttl/],
  ['the clock in a function', reading('clock(1)'), /calls now\(\)/],
  ['a setting', reading("current_setting('x', true)"), /current_setting\(text,boolean\), which reads/],
  ['an age', reading("age(timestamp '2026-01-01')"), /it reads the clock or the session/],
  ['the search configuration', reading('to_tsvector(title)'), /to_tsvector\(text\), which reads/],
  [
    'a stable function with an unknown body',
    reading('hidden(1)'),
    /hidden\(integer\), which is not immutable/,
  ],
  [
    'a sample',
    bindingQuery('p:{id}', 'select * from film tablesample system (50) where film_id = $1', film, sometime),
    /random sample/,
  ],
  [
    'a time of day in another time zone',
    reading("timetz '12:00+00' at time zone 'Europe/Berlin'"),
    /timezone\(text,time with time zone\), which reads the clock or the session/,
  ],
  [
    'a lock',
    bindingQuery('p:{id}', 'select * from film where film_id = $1 for update', film, sometime),
    /locks rows/,
  ],
  [
    'a mapping that reads the clock',
    mappedBy('select film_id from film_actor where now() is not null'),
    /a query of depends .* now\(\), which reads the clock or the session$/,
    /^Leave that out/,
  ],
  ['two columns of a name', reading('1 as title'), /two columns named title/],
  [
    'no parameter',
    bindingQuery('p:{id}', 'select * from film', film),
    /has 0 parameters, but p:\{id\} needs 1/,
  ],
  ['too many parameters', bindingQuery('p:{id}', 'select $1::int, $2::int', film), /has 2 parameters/],
  [
    'a parameter without a type',
    bindingQuery('p:{id}', 'select $1 is null', film),
    /data type of parameter \$1/,
    /\$1::integer/,
  ],
  [
    'a parameter without one spelling',
    bindingQuery('p:{id}', 'select * from priced where price = $1', { priced: '{price}' }),
    /^\$1, which stands for id, has the type numeric/,
    /Write a cast/,
  ],
  [
    'a statement that writes',
    bindingQuery('p:{id}', 'delete from film where film_id = $1', film),
    /syntax error/,
  ],
  ['two statements', bindingQuery('p:{id}', 'select $1::int; drop table film', film), /syntax error/],
  ['no pattern', bindingQuery('p', 'select $1::int', film), /is not a pattern/],
  ['depends that is an array', bindingQuery('p:{id}', 'select $1::int', []), /depends is not a JSON object/],
  [
    'depends with a number',
    bindingQuery('p:{id}', 'select $1::int', { film: 1 }),
    /for film that is not a text: 1/,
  ],
  ['depends on nothing', "select cache_bind_query('p:{id}', 'select $1::int', null)", /is not a JSON object/],
  [
    'an unknown table',
    bindingQuery('p:{id}', 'select $1::int', { films: '{id}' }),
    /there is no table films/,
  ],
  ['an unknown column', bindingQuery('p:{id}', 'select $1::int', { film: '{id}' }), /film has no column id/],
  [
    'an unknown column of a mapping',
    mappedBy('select film_id from film_actor where actor_id = {id}'),
    /actor has no column id/,
  ],
  [
    'too few columns',
    bindingQuery('p:{a}:{b}', 'select $1::int as a, $2::int as b', film),
    /depends names 1 columns of public\.film, but p:\{a\}:\{b\} needs 2/,
  ],
  [
    'a column of another type',
    bindingQuery('p:{id}', 'select $1::int', { film: '{title}' }),
    /title of public\.film has the type text/,
    /must agree/,
  ],
  [
    'a column of a mapping without one spelling',
    bindingQuery('p:{id}', 'select $1::int', { priced: 'select film_id from film where {price} > 1' }),
    /price of public\.priced has the type numeric/,
  ],
  ['a mapping with too few columns', mappedBy('select from film_actor'), /0 columns/],
  [
    'a mapping with too many columns',
    mappedBy('select film_id, 1 from film_actor'),
    /returns 2 columns for public\.actor, but film_page:\{id\} needs 1/,
  ],
  [
    'a quoted name in a mapping',
    mappedBy("select film_id from film_actor where actor_id::text = '{actor_id}'"),
    /^a query of depends has \{actor_id\} within quotes or a comment$/,
    /^Write \{actor_id\} without quotes/,
  ],
  [
    'a quoted name in a mapping that has it without quotes, too',
    mappedBy(
      'select film_id from film_actor where {actor_id} between 1 and 9 or {actor_id}::text = $q$ {actor_id}$q$',
    ),
    /has \{actor_id\} within quotes/,
  ],
  [
    'a quoted name in a mapping that compares it with a number',
    mappedBy("select film_id from film_actor where actor_id = '{actor_id}'"),
    /has \{actor_id\} within quotes/,
  ],
  [
    'a name in a comment of a mapping',
    mappedBy('select film_id from film_actor where actor_id = {actor_id} -- {actor_id}'),
    /has \{actor_id\} within quotes or a comment/,
  ],
  ['no query', "select cache_bind_query('p:{id}', null, '{}')", /^the query is empty$/, /Write a SELECT/],
  ['an empty query', bindingQuery('p:{id}', ' ;\n', {}), /^the query is empty$/],
  ['no time to live', reading('now()', ", ttl => '0'"), /is not a time to live/],
  [
    'a very long time to live',
    reading('now()', ", ttl => '1000000001 seconds'"),
    /is not a time to live/,
    /1,000,000,000/,
  ],
]

for (const [why, sql, message, hint = /.*/s] of refusals)
  t.test(`refused: ${why}`, async (t) => {
    const error = await failure(sql)
    t.match(error.message, message)
    t.match(error.hint ?? '', hint)
    t.same((await query('select * from cache_bindings')).rows, [])
  })

const accepted: readonly [why: string, sql: string][] = [
  ['the clock, with a ttl', reading('now(), current_date, age(now())', sometime)],
  ['a stable function with an unknown body, with a ttl', reading('hidden(1)', sometime)],
  ['an immutable function', reading('pure(1)')],
  ['a stable function whose body is known', reading('shown(1)')],
  [
    'functions that depend on settings that are fixed',
    bindingQuery(
      'p:{id}',
      `select to_char(at, 'YYYY') as a, to_tsvector('simple', title) as b, date_trunc('day', at) as c,
         json_build_object('a', title) as d, concat(title, at) as e, format('%s', at) as f, at::date as g
       from film, (select timestamptz '2026-01-01' as at) as fixed where film_id = $1`,
      film,
    ),
  ],
  [
    'a view of known tables',
    bindingQuery('p:{id}', 'select * from page where film_id = $1', {
      ...film,
      film_actor: '{film_id}',
      actor: 'select film_id from film_actor where actor_id = {actor_id}',
    }),
  ],
  [
    'a semicolon and a comment at the end',
    bindingQuery('p:{id}', 'select * from film where film_id = $1; \n', film),
  ],
  ['a comment at the end', bindingQuery('p:{id}', 'select * from film where film_id = $1 -- one film', film)],
  [
    'a list of ways',
    bindingQuery('p:{id}', 'select * from film where film_id = $1', {
      film: ['{film_id}', 'select film_id from film where title = {title};'],
    }),
  ],
  [
    'a mapping that has a name in several places',
    bindingQuery('p:{id}', 'select * from film where film_id = $1', {
      film: 'select distinct {film_id} from (values (array[{film_id}])) as v (a) where a[1] = {film_id} order by {film_id}',
    }),
  ],
  [
    'names of another search path',
    `create schema shop; create table shop.product (id bigint); ${bindingQuery('p:{id}', 'select * from product where id = $1', { product: '{id}' }, ", names_in => 'shop'")}`,
  ],
]

for (const [why, sql] of accepted)
  t.test(`accepted: ${why}`, async (t) => {
    await query(sql)
    t.match((await query('select key, announce from cache_bindings')).rows, [
      { key: 'p:{id}', announce: 'outbox' },
    ])
    t.same((await query("select cache_unbind('p:{id}') as was")).rows, [{ was: true }])
  })

/** Six triggers and their function. A query has a function besides, and one for each of its mappings. */
const objectsOfTable = 4

/** Number of the triggers and functions that bindings have created. */
const objects = async () =>
  (
    await query<{ name: string }>(
      `select tgname::text as name from pg_trigger where tgname like 'cache_announce_%' and not tgisinternal
       union all select proname from pg_proc where proname ~ '^cache_(announce|query|map)_[0-9a-f]{12}'`,
    )
  ).rows.length

t.test('refused: the user of the session, in every spelling', async (t) => {
  const { rows } = await query<{ version: number }>(
    "select current_setting('server_version_num')::int as version",
  )
  if ((rows[0]?.version ?? 0) < 160_000) return t.pass('there is no SYSTEM_USER before PostgreSQL 16')
  t.match(await failure(reading('system_user')), { message: /reads the clock or the session/ })
})

t.test('refused: an infinite time to live', async (t) => {
  const { rows } = await query<{ version: number }>(
    "select current_setting('server_version_num')::int as version",
  )
  if ((rows[0]?.version ?? 0) < 170_000) return t.pass('intervals are finite before PostgreSQL 17')
  const error = await failure(reading('now()', ", ttl => 'infinity'"))
  t.match(error, { message: /^infinity is not a time to live$/, hint: /1,000,000,000 seconds/ })
})

for (const [kind, sql, source] of [
  ['view', 'create temp view passing as select * from film', 'passing'],
  ['table', 'create temp table passing as select * from film', 'passing'],
  [
    'function',
    'create function pg_temp.passing() returns setof film immutable language sql begin atomic select 1, null::text; end',
    'pg_temp.passing()',
  ],
] as const)
  t.test(`refused: a temporary ${kind}`, async (t) => {
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    t.teardown(() => client.end())
    await client.query(sql)
    await t.rejects(
      client.query(bindingQuery('p:{id}', `select * from ${source} where film_id = $1`, film)),
      {
        code: '42809',
        message: /^the query uses pg_temp\.passing.*, which is temporary$/,
      },
    )
  })

t.test('a binding is replaced in place, and its end leaves nothing behind', async (t) => {
  t.equal(await objects(), 0)
  await query(bindFilmPage)
  const count = await objects()
  t.equal(count, 3 * objectsOfTable + 2)
  t.match((await query('select * from cache_bindings')).rows, [
    { key: 'film_page:{id}', table_name: null, announce: 'outbox', query: filmPage },
  ])
  await query("select cache_invalidate_prefix('film_page:1')")
  await query(bindFilmPage)
  t.equal(await objects(), count)
  t.match((await query('select invalidations from cache_bound_queries')).rows, [{ invalidations: '1' }])
  await query("select cache_bind('film', 'film_page:{film_id}')").then(
    () => t.fail('bound'),
    (error: Error) =>
      t.match(error.message, /film_page:\{film_id\} and film_page:\{id\} can match the same key/),
  )
  await query(
    "set session_replication_role = replica; select cache_unbind('film_page:{id}'); reset session_replication_role",
  )
  t.equal(await objects(), 0)
  t.same((await query('select from cache_dependencies')).rows, [])
  t.same((await query("select cache_unbind('film_page:{id}') as was")).rows, [{ was: false }])
})

t.test('a binding prints no notices', async (t) => {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  t.teardown(() => client.end())
  const notices: (string | undefined)[] = []
  client.on('notice', ({ message }) => notices.push(message))
  await client.query(bindFilmPage)
  await client.query(bindFilmPage)
  await client.query("select cache_unbind('film_page:{id}')")
  t.strictSame(notices, [])
})

t.test('a table and a query take each other’s pattern', async (t) => {
  const page = bindingQuery('film:{film_id}', 'select title from film where film_id = $1', film)
  await query("select cache_bind('film', 'film:{film_id}')")
  await query(page)
  t.match((await query('select key, table_name from cache_bindings')).rows, [
    { key: 'film:{film_id}', table_name: null },
  ])
  t.equal(await objects(), objectsOfTable + 1)
  await query("select cache_bind('film', 'film:{film_id}')")
  t.match((await query('select key, table_name from cache_bindings')).rows, [
    { key: 'film:{film_id}', table_name: 'film' },
  ])
  t.equal(await objects(), objectsOfTable)
  await query("select cache_unbind('film:{film_id}')")
  t.match((await failure(bindingQuery('p:{id}', filmPage, film))).message, /leaves out/)
  t.equal(await objects(), 0)
})

t.test('only the owner of all tables can bind a query', async (t) => {
  const role = `binder_${Date.now()}`
  await query(`
    create role ${role}; grant create, usage on schema public to ${role};
    grant select, insert, update, delete on cache_bound_tables, cache_bound_queries, cache_dependencies to ${role};
    grant select on film, actor, film_actor to ${role}`)
  t.teardown(() => query(`drop owned by ${role}; drop role ${role}`))
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  t.teardown(() => client.end())
  await client.query(`set role ${role}`)
  await t.rejects(client.query(bindFilmPage), {
    code: '42501',
    message: /only the owner of public\.actor can bind it/,
  })
})

t.test('a sidecar of an earlier version that listens prevents a binding', async (t) => {
  const earlier = new pg.Client({ connectionString: database.url, application_name: 'caching-layer feed' })
  await earlier.connect()
  t.match((await failure(bindFilmPage)).message, /sidecars that do not know bindings/)
  await earlier.end()
})

t.test('names of any spelling, and schemas that are renamed', async (t) => {
  const other = await cacheDatabase(t)
  await other.query(`
    create schema "My ""Shop"; create table "My ""Shop"."T:1" ("Key" text primary key, "A b" int);
    insert into "My ""Shop"."T:1" values ('x:y', 1);
    select cache_bind_query('t\\:{Key}', 'select "A b" from "T:1" where "Key" = $1', '{"\\"T:1\\"": ["{Key}",
      "select \\"Key\\" from \\"T:1\\" where \\"A b\\" = {A b}"]}', names_in => '"My ""Shop"')`)
  await other.query('alter schema public rename to "New Name"; alter schema "My ""Shop" rename to shop')
  await other.query(`update shop."T:1" set "A b" = 2`)
  const { rows } = await other.query<{ key: string; mapping: string | null }>(
    'select key, mapping from "New Name".cache_outbox',
  )
  t.same(
    rows.filter(({ mapping }) => mapping === null).map(({ key }) => key),
    ['t\\:x%3Ay'],
  )
  const mapping = rows.find(({ mapping }) => mapping !== null)?.mapping
  const dependents = await other.query('select "New Name".cache_dependents($1, $2) as key', [
    mapping,
    ['["2"]'],
  ])
  t.same(dependents.rows, [{ key: 't\\:x%3Ay' }])
  t.same((await other.query(`select "New Name".cache_unbind('t\\:{Key}') as was`)).rows, [{ was: true }])
})
