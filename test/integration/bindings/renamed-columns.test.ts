/** Columns that a binding names, and that a migration of the application renames, drops or gives another type. */
import pg from 'pg'
import t from 'tap'
import { Announcements } from '../../support/announcements.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { hold, inspectNow } from '../../support/held-answers.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const columns = '(id int, region text, v text, primary key (region, id))'
const rows = "insert into item values (1, 'eu', 'old'), (2, 'eu', 'old');"
const table = `create table item ${columns}; ${rows}`
const partitions = `
  create table item ${columns} partition by list (region);
  create table item_eu partition of item default; ${rows}`
const bind = "select cache_bind('item', 'item:{region}:{id}')"
const bindNotify = "select cache_bind('item', 'item:{region}:{id}', announce => 'notify')"
const bindQuery = (way: string) => `
  select cache_bind_query('page:{id}', query => 'select region from item where id = $1',
    depends => '{"public.item": "${way}"}')`

/** Bindings that name the column `id` of the table `item`. */
const bindings = {
  'a table': table + bind,
  'a table, notify': table + bindNotify,
  'a partitioned table': partitions + bind,
  'a partitioned table, notify': partitions + bindNotify,
  'a column in depends': table + bindQuery('{id}'),
  'a column in a mapping': table + bindQuery('select {id} + 1'),
}

/** Statements that change rows, when the column has its new name. */
const writes = [
  "insert into item values (3, 'eu', 'new')",
  "update item set v = 'new'",
  'update item set number = number + 10 where number = 1',
  'delete from item where number = 2',
]

for (const [name, sql] of Object.entries(bindings))
  t.test(`${name}: a renamed column fails no statement, and any key may have changed`, async (t) => {
    const { query, ...database } = await cacheDatabase(t)
    await query(sql)
    await query('alter table item rename id to number; delete from cache_outbox')
    const announced = await Announcements.of(t, { query, ...database })
    for (const write of writes) {
      await query(write)
      const stored = (await query('delete from cache_outbox returning key, mapping')).rows
      const notified = await announced.ids()
      t.same(new Set(notified), new Set(name.endsWith('notify') ? ['*'] : []), write)
      t.same(stored[0], name.endsWith('notify') ? undefined : { key: null, mapping: null }, write)
    }
  })

for (const [name, sql] of Object.entries(bindings))
  t.test(`${name}: a column that changes places with one of another type fails no statement`, async (t) => {
    const { query, url } = await cacheDatabase(t)
    await query(sql)
    await query('alter table item add new_id bigint; update item set new_id = id + 10')
    // Its triggers have the types from before.
    const writer = new pg.Client({ connectionString: url })
    await writer.connect()
    t.teardown(() => writer.end())
    await writer.query(
      "insert into item values (4, 'eu', 'old', 4); update item set v = 'new' where id < 3; delete from item where id = 4",
    )
    await query(
      'alter table item rename id to number; alter table item rename new_id to id; delete from cache_outbox',
    )
    for (const write of writes) await writer.query(write)
    const stored = (await query('select key from cache_outbox')).rows.length
    t.equal(stored > 0, !name.endsWith('notify'))
  })

for (const [kind, sql] of Object.entries({ 'a table': table, 'a partitioned table': partitions }))
  t.test(
    `a column of a key of ${kind} is neither dropped nor given another type, as with a view`,
    async (t) => {
      const { query } = await cacheDatabase(t)
      await query(sql + bind)
      await t.rejects(query('alter table item drop column id'), {
        code: '2BP01',
        detail: /trigger cache_announce/,
      })
      await t.rejects(query('alter table item alter id type bigint'), {
        code: '0A000',
        detail: /trigger cache_announce/,
      })
      await query('alter table item drop column v')
      await query(`
    begin;
    select cache_unbind('item:{region}:{id}');
    alter table item alter id type bigint;
    ${bind};
    commit`)
    },
  )

t.test('a column that is generated when it is read cannot be part of a key or lead to one', async (t) => {
  const { query } = await cacheDatabase(t)
  const [server] = (
    await query<{ version: number }>("select current_setting('server_version_num')::int as version")
  ).rows
  if ((server?.version ?? 0) < 180_000) return t.pass('PostgreSQL has no such columns yet')
  await query(`
    create table item (id int primary key, twice int generated always as (id * 2) virtual,
      thrice int unique generated always as (id * 3) stored);
    create unique index on item (thrice)`)
  const refused = {
    code: '0A000',
    message: /the column twice of public\.item is generated when it is read/,
    hint: /stored/,
  }
  for (const way of ['{twice}', 'select {twice}'])
    await t.rejects(query(bindQuery(way).replace('region', 'thrice')), refused)
  await query("select cache_bind('item', 'item:{thrice}')")
  await query('insert into item (id) values (1); update item set id = 2; delete from item')
  t.same((await query('select distinct key from cache_outbox order by key')).rows, [
    { key: 'item:3' },
    { key: 'item:6' },
  ])
})

for (const [name, sql, key] of [
  ['a table', table + bind, 'item:eu:1'],
  ['a partitioned table', partitions + bind, 'item:eu:1'],
  ['a query', table + bindQuery('{id}'), 'page:1'],
] as const)
  t.test(
    `${name}: columns that change places by their names make a fault, which binding again cures`,
    async (t) => {
      const { query, url } = await cacheDatabase(t)
      await query(sql)
      await query('alter table item add new_id int; update item set new_id = id + 10')
      const { client } = await startLiveSidecar(t, { databaseUrl: url, migrate: false, ttlSeconds: 0 })
      await hold(client, key)
      await query('alter table item rename id to old_id; alter table item rename new_id to id')
      await query('create unique index on item (region, id)')
      await query(inspectNow)
      await eventually(async () => (await client.get(key)).status === 503)
      t.match((await client.get(key)).body.detail, /were renamed/)
      await query(name === 'a query' ? bindQuery('{id}') : bind)
      await eventually(async () => (await client.get(key)).status !== 503)
      await eventually(async () => (await client.get(key.replace('1', '11'))).status === 200)
    },
  )

t.test('a column that is dropped with CASCADE fails no statement', async (t) => {
  const { query } = await cacheDatabase(t)
  await query(table + bind)
  await query('alter table item drop column id cascade; delete from cache_outbox')
  await query("update item set v = 'new'")
  t.same((await query('select distinct key from cache_outbox')).rows, [{ key: null }])
})

t.test('keys of a renamed column are answered with the reason until they are bound again', async (t) => {
  const { query, url } = await cacheDatabase(t)
  await query(table + bind)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, migrate: false, ttlSeconds: 0 })
  t.match(await hold(client, 'item:eu:1'), { v: 'old' })
  await query('alter table item rename id to number')
  await query("update item set v = 'new' where number = 1")
  await query(inspectNow)
  await eventually(async () => (await client.get('item:eu:1')).status === 503)
  t.match((await client.get('item:eu:1')).body.detail, /dropped, renamed or given another type/)
  await query("select cache_unbind('item:{region}:{id}'), cache_bind('item', 'item:{region}:{number}')")
  await eventually(async () => (await client.get('item:eu:1')).status === 200)
  t.same(await client.value('item:eu:1'), { number: 1, region: 'eu', v: 'new' })
})
