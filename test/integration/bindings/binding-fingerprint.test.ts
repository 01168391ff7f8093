/** The fingerprint of a binding: it changes with everything that can change answers without a change of rows. */
import pg from 'pg'
import t from 'tap'
import { inspectBindings } from '../../../src/postgres/bindings/binding-inspection.js'
import type { Query } from '../../../src/postgres/schema/table-inspection.js'
import { cacheDatabase } from '../../support/database.js'

const database = await cacheDatabase(t)
const { query } = database
const role = `reader_${database.name}`
await query(`
  create role ${role}; grant usage on schema public to ${role};
  create type mood as enum ('sad', 'glad');
  create type tag as enum ('new', 'old');
  create type point_3d as (x int, y int);
  create type size as enum ('s', 'm');
  create type colour as enum ('red', 'blue');
  create domain own_size as size;
  create type address as (street text, zip text);
  create type coat as (colour colour);
  create table item (id int primary key, v varchar(10), mood mood, moods mood[], tags tag[], place point_3d,
    size own_size, addresses address[], coat coat, twice int generated always as (id * 2) stored);
  create table measure (id int primary key, v text) partition by range (id);
  create table measure_0 partition of measure for values from (0) to (10);
  create table other (id int primary key, v text);
  select cache_bind('item', key => 'item:{id}');
  select cache_bind('measure', key => 'measure:{id}');
  select cache_bind('other', key => 'other:{id}');
`)
t.teardown(() => query(`drop owned by ${role}; drop role ${role}`))
const client = new pg.Client({ connectionString: database.url })
await client.connect()
t.teardown(() => client.end())
const send: Query = async (sql) => (await client.query(sql)).rows

async function fingerprints(): Promise<ReadonlyMap<string, string>> {
  const { sources } = await inspectBindings(send, 'public')
  return new Map(sources.map(({ pattern, fingerprint }) => [pattern.text, fingerprint]))
}

/** Runs a statement, and returns the patterns whose fingerprints it has changed. */
async function changedBy(sql: string): Promise<readonly string[]> {
  const before = await fingerprints()
  await client.query(sql)
  const after = await fingerprints()
  return [...after.keys()].filter((pattern) => before.get(pattern) !== after.get(pattern))
}

const ofItem = [
  'alter table item add column n int default 7',
  'alter table item rename column n to number',
  'alter table item drop column number',
  'alter table item alter column v type varchar(20)',
  "alter type mood rename value 'glad' to 'merry'",
  "alter type mood add value 'angry'",
  "alter type tag rename value 'new' to 'young'",
  'alter type point_3d rename attribute y to z',
  "alter type size rename value 's' to 'small'",
  "alter type colour rename value 'red' to 'crimson'",
  'alter type address rename attribute zip to postcode',
  'create cast (mood as json) with inout',
  'alter type point_3d add attribute w int cascade',
  'alter table item enable row level security',
  'alter table item force row level security',
  'create policy odd on item using (id % 2 = 1)',
  'alter policy odd on item using (id % 2 = 0)',
  'drop policy odd on item',
  'alter table item no force row level security; alter table item disable row level security',
  `grant select on item to ${role}`,
  `grant select (v) on item to ${role}`,
  'vacuum full item',
  'truncate item',
  "select cache_bind('item', key => 'item:{id}', columns => array['v'])",
  "select cache_bind('item', key => 'item:{id}', in_group => 'items')",
  "select cache_invalidate_group('items')",
  'alter table item disable trigger user',
  "select cache_bind('item', key => 'item:{id}')",
  // Its triggers are as they were. What has changed in between was not announced.
  "alter table item disable trigger user; select cache_bind('item', key => 'item:{id}')",
  'alter table item drop constraint item_pkey',
  'alter table item add primary key (id)',
  // As it was. What changed meanwhile was announced under other keys, or not at all.
  'begin; alter table item rename id to former; alter table item rename v to id; alter table item rename id to v; alter table item rename former to id; commit',
  'begin; create table parent (like item including generated); alter table item inherit parent; alter table item no inherit parent; drop table parent; commit',
  'begin; create table parent (like item including generated) partition by range (id); alter table parent attach partition item default; alter table parent detach partition item; drop table parent; commit',
]

for (const sql of ofItem)
  t.test(`of the table: ${sql}`, async (t) => {
    t.same(await changedBy(sql), ['item:{id}'])
  })

const ofMeasure = [
  'truncate measure_0',
  'create table measure_1 partition of measure for values from (10) to (20)',
  'alter table measure detach partition measure_1',
  'alter table measure attach partition measure_1 for values from (10) to (20)',
  'alter table measure_0 disable trigger user',
  'begin; alter table measure detach partition measure_1; alter table measure attach partition measure_1 for values from (10) to (20); commit',
  'drop table measure_1',
]

for (const sql of ofMeasure)
  t.test(`of a partition: ${sql}`, async (t) => {
    t.same(await changedBy(sql), ['measure:{id}'])
  })

t.test('the digest, which probes return, changes with every definition', async (t) => {
  const digest = async () => (await inspectBindings(send, 'public')).digest
  let before = await digest()
  for (const sql of [
    "select cache_bind('item', key => 'item:{id}', columns => array['id'])",
    "select cache_bind('item', key => 'item:{id}', in_group => 'items')",
    "select cache_invalidate_group('items')",
    "select cache_bind('other', key => 'item:{id}')",
    "select cache_unbind('item:{id}')",
    "select cache_bind('item', key => 'item:{id}')",
    // Nobody announces what changes in between.
    "begin; select cache_unbind('item:{id}'); select cache_bind('item', key => 'item:{id}'); commit",
  ]) {
    await client.query(sql)
    const after = await digest()
    t.not(after, before, sql)
    before = after
  }
  await client.query(
    'insert into item (id) values (1); delete from item; alter table item add column last int',
  )
  t.equal(await digest(), before, 'rows and columns are not in it')
})

t.test('an inspection in whose midst bindings have changed and changed back', async (t) => {
  let statements = 0
  const disturbed: Query = async (sql) => {
    if (++statements === 2) await client.query("select cache_unbind('other:{id}')")
    const rows = await send<never>(sql)
    if (statements === 2) await client.query("select cache_bind('other', key => 'other:{id}')")
    return rows
  }
  const found = await inspectBindings(disturbed, 'public')
  t.notOk(found.sources.some(({ pattern }) => pattern.text === 'other:{id}'))
  t.not(found.digest, (await inspectBindings(send, 'public')).digest, 'the next probe notices')
})

t.test('each role has its own, because it may see other rows', async (t) => {
  await client.query(`grant select on item, measure, other to ${role}`)
  const changed = await changedBy(`set role ${role}`)
  await client.query('reset role')
  t.same(changed, ['item:{id}', 'measure:{id}', 'other:{id}'])
})

t.test('changes of rows and of other objects do not change it', async (t) => {
  for (const sql of [
    "insert into item (id, v) values (1, 'one'); update item set v = 'two'; delete from item",
    'analyze item',
    'create table unrelated (id int)',
    'create index on item (v)',
    'vacuum item',
  ])
    t.same(await changedBy(sql), [], sql)
})

t.test('a lock of a partition does not delay the inspection of everything else', async (t) => {
  const locking = new pg.Client({ connectionString: database.url })
  await locking.connect()
  t.teardown(() => locking.end())
  await locking.query('begin; lock table measure_0 in access exclusive mode')
  await client.query("set statement_timeout = '30s'")
  t.ok((await fingerprints()).has('measure:{id}'))
  await client.query('reset statement_timeout')
})
