/** UPDATEs that give a row another key: the former key is announced, whatever has changed it. */
import t, { type Test } from 'tap'
import { cacheDatabase } from '../../support/database.js'

/** `twice` and `slug` are keys that a statement can change without naming them. */
const tables = `
  create table item (id int primary key, title text, slug text unique, twice int unique generated always as (id * 2) stored);
  insert into item values (1, 'one', 'one'), (2, 'two', 'two'), (3, 'three', 'three');
  create function set_slug() returns trigger language plpgsql as $$
    begin new.slug := lower(new.title); return new; end $$;
`
const slugTrigger = 'create trigger slug before update on item for each row execute function set_slug();'
const bindId = "select cache_bind('item', 'item:{id}');"
const bindSlug = "select cache_bind('item', 'slug:{slug}');"

async function setting(t: Test, ...statements: readonly string[]) {
  const { query } = await cacheDatabase(t)
  for (const sql of [tables, ...statements, 'truncate cache_outbox']) await query(sql)
  return {
    query,
    /** Runs statements, and tests that they announce these keys, or `*` for any. */
    async announces(sql: string, ...keys: readonly string[]) {
      await query(sql)
      const { rows } = await query<{ key: string | null }>('delete from cache_outbox returning key')
      t.strictSame([...new Set(rows.map(({ key }) => key ?? '*'))].sort(), keys, sql)
    },
  }
}

t.test('statements that name the key', async (t) => {
  const { query, announces } = await setting(t, bindId)
  await announces('update item set id = 10 where id = 1', 'item:1', 'item:10')
  await announces('update item set id = id + 20 where id in (2, 3)', 'item:2', 'item:22', 'item:23', 'item:3')
  await announces(
    "insert into item values (10, 'x') on conflict (id) do update set id = 11",
    'item:10',
    'item:11',
  )
  await announces("insert into item values (11, 'x') on conflict (id) do update set title = 'y'", 'item:11')
  await query('create view item_view as select id as number, title from item')
  await announces('update item_view set number = 12 where number = 11', 'item:11', 'item:12')
  await announces("update item_view set title = 'z' where number = 12", 'item:12')
  await announces('with a as (update item set id = 13 where id = 12) select 1', 'item:12', 'item:13')
  await announces('update item set id = default where false')
  await announces('update item set (title, id) = (select 1, 14) where id = 13', 'item:13', 'item:14')
})

t.test('a statement that names the key and changes nothing announces it once', async (t) => {
  const { query } = await setting(t, bindId)
  await query("update item set id = id, title = 'new' where id = 1")
  t.strictSame((await query('select key from cache_outbox')).rows, [{ key: 'item:1' }])
})

t.test('MERGE', async (t) => {
  const { query, announces } = await setting(t, bindId, "select cache_bind('item', 'twice:{twice}')")
  const { rows } = await query<{ version: number }>(
    "select current_setting('server_version_num')::int as version",
  )
  if ((rows[0]?.version ?? 0) < 150_000) return t.pass('PostgreSQL has no MERGE yet')
  await announces(
    `merge into item using (values (1), (2)) as given (id) on item.id = given.id
     when matched and item.id = 1 then update set id = 10 when matched then update set title = 'new'`,
    ...['item:1', 'item:10', 'item:2', 'twice:2', 'twice:20', 'twice:4'],
  )
})

t.test('a generated column whose value follows from a column that is named', async (t) => {
  const { announces } = await setting(t, "select cache_bind('item', 'twice:{twice}')")
  await announces('update item set id = 10 where id = 1', 'twice:2', 'twice:20')
  await announces("update item set title = 'new' where id = 10", 'twice:20')
  await announces(
    "insert into item values (10, 'x') on conflict (id) do update set id = 11",
    'twice:20',
    'twice:22',
  )
})

t.test('a cascade of a foreign key, and a key that becomes null', async (t) => {
  const { announces } = await setting(
    t,
    `create table part (item int unique references item on update cascade on delete set null);
     insert into part values (1); select cache_bind('part', 'part:{item}')`,
  )
  await announces('update item set id = 10 where id = 1', 'part:1', 'part:10')
  await announces('delete from item where id = 10', 'part:10')
  await announces('update part set item = 2', 'part:2')
})

t.test('an UPDATE in a trigger of the table', async (t) => {
  const { announces } = await setting(
    t,
    `create function move() returns trigger language plpgsql as $$
       begin update item set id = id + 100 where id = new.id and id < 100; return null; end $$;
     create trigger a_move after update of title on item for each row execute function move();
     ${bindId}`,
  )
  await announces("update item set title = 'new' where id = 1", 'item:1', 'item:101')
})

t.test('a BEFORE trigger that the table had when it was bound', async (t) => {
  const { query, announces } = await setting(t, slugTrigger, bindSlug)
  await announces("update item set title = 'Other' where id = 1", 'slug:one', 'slug:other')
  await announces("update item set title = 'OTHER' where id = 1", 'slug:other')
  for (const [state, role] of [
    ['disable', 'origin'],
    ['enable replica', 'replica'],
    ['enable always', 'origin'],
  ] as const) {
    await query(
      `alter table item ${state} trigger slug; ${bindSlug} alter table item enable always trigger slug`,
    )
    await query("update item set title = 'before' where id = 1; delete from cache_outbox")
    await announces(
      `set session_replication_role = ${role}; update item set title = 'after' where id = 1;
       reset session_replication_role`,
      'slug:after',
      'slug:before',
    )
  }
})

t.test('a BEFORE trigger that comes later, and one that is there for a single statement', async (t) => {
  const { announces } = await setting(t, bindSlug, slugTrigger)
  await announces("update item set title = 'Other' where id = 1", 'slug:one', 'slug:other')
  await announces(
    `begin; drop trigger slug on item; ${slugTrigger} update item set title = 'Third' where id = 1;
     drop trigger slug on item; commit`,
    'slug:other',
    'slug:third',
  )
})

t.test('former values of a row that lead to keys of a query', async (t) => {
  const bind = (way: string) => `
    select cache_bind_query('page:{slug}', query => 'select id from item where slug = $1',
      depends => '{"public.item": "${way}"}')`
  const { query, announces } = await setting(t, bind('{slug}'))
  await announces("update item set slug = 'other' where id = 1", 'page:one', 'page:other')
  await query(slugTrigger + bind('{slug}'))
  await announces("update item set title = 'Third' where id = 1", 'page:other', 'page:third')
  await query(bind('select {slug}'))
  await announces("update item set title = 'Fourth' where id = 1", '["fourth"]', '["third"]')
})

t.test('many rows: each of the former keys and of the new ones', async (t) => {
  const { query } = await setting(
    t,
    bindId,
    'insert into item select n, n, n from generate_series(1001, 21000) as n',
  )
  await query('update item set id = id + 100000 where id > 1000')
  const { rows } = await query(
    `select key from (
       select 'item:' || n from generate_series(1001, 21000) as n union all
       select 'item:' || n from generate_series(101001, 121000) as n
     ) as expected (key) full join cache_outbox using (key) where expected.key is null or cache_outbox.key is null`,
  )
  t.strictSame(rows, [])
  t.strictSame((await query('select count(*)::int as stored from cache_outbox')).rows, [{ stored: 40_000 }])
})
