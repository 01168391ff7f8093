import pg from 'pg'
import t from 'tap'
import { bind, boundTables, products, reviews, shopDatabase } from '../support/bind-command.js'
import type { FreshDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'

t.test('a file is applied, and the second time there is nothing to change', async (t) => {
  const database = await shopDatabase(t)
  const first = await bind(t, database, '--file=bindings.yaml', products + reviews)
  t.strictSame(first, {
    code: 0,
    out: [
      '+ product:{id}: public.products, columns id, name, group products',
      '+ review:{product}:{id}: public.reviews',
    ],
    notes: ['2 added'],
  })
  const before = await boundTables(database)
  t.match(before, [
    { pattern: 'product:{id}', bound: 'products', columns: ['id', 'name'], group_name: 'products' },
    { pattern: 'review:{product}:{id}', bound: 'reviews', columns: null, group_name: null },
  ])

  t.strictSame(await bind(t, database, '--file=bindings.yaml', products + reviews), {
    code: 0,
    out: [],
    notes: ['nothing to change'],
  })
  t.strictSame(await bind(t, database, '--file=bindings.yaml --check', products + reviews), {
    code: 0,
    out: [],
    notes: ['nothing to change'],
  })
  t.strictSame(await boundTables(database), before)
})

t.test('only what differs is changed', async (t) => {
  const database = await shopDatabase(t)
  await bind(t, database, '--file=bindings.yaml', products + reviews)
  const [, review] = await boundTables(database)
  const said = await bind(
    t,
    database,
    '--file=bindings.yaml',
    products.replace('[id, name]', '[id, price]').replace('group: products', '') + reviews,
  )
  t.strictSame(said, {
    code: 0,
    out: ['~ product:{id}: columns id, price, which were id, name; group none, which was products'],
    notes: ['1 changed'],
  })
  t.match(await boundTables(database), [{ columns: ['id', 'price'], group_name: null }, review])
  t.match(
    await bind(
      t,
      database,
      '--file=bindings.yaml',
      `${products.replace('[id, name]', '[id, price]').replace('group: products', 'announce: notify')}${reviews}`,
    ),
    { code: 0, out: ['~ product:{id}: announced by notify, which was outbox'] },
  )
})

t.test('a table that was replaced, and a trigger that was dropped, are differences', async (t) => {
  const database = await shopDatabase(t)
  await bind(t, database, '--file=bindings.yaml', products + reviews)
  await database.query(
    'alter table products rename to old; create table products (id int primary key, name text)',
  )
  const { rows } = await database.query<{ tgname: string }>(
    "select tgname from pg_trigger where tgrelid = 'reviews'::regclass and tgname like '%_row'",
  )
  await database.query(`drop trigger ${rows[0]?.tgname} on reviews`)
  const check = await bind(t, database, '--file=bindings.yaml --check', products + reviews)
  t.match(check, {
    code: 1,
    out: [
      '~ product:{id}: public.products is another table than the one that was bound, which is public.old now',
      /^~ review:\{product\}:\{id\}: changes of public\.reviews are not announced/,
    ],
    notes: ['2 changed: nothing was changed yet'],
  })
  t.match(await bind(t, database, '--file=bindings.yaml', products + reviews), {
    code: 0,
    notes: ['2 changed'],
  })
  t.match(await bind(t, database, '--file=bindings.yaml --check', products + reviews), {
    code: 0,
    out: { length: 0 },
  })
})

t.test('a database that was restored from a dump has differences', async (t) => {
  const database = await shopDatabase(t)
  await bind(t, database, '--file=bindings.yaml', products + reviews)
  await database.query(`
    alter table cache_outbox rename to former_outbox; drop index cache_outbox_xid;
    create unlogged table cache_outbox (like former_outbox including all); drop table former_outbox`)
  t.match(await bind(t, database, '--file=bindings.yaml --check', products + reviews), {
    code: 1,
    out: [
      /^~ product:\{id\}: the database was restored, and each changed row costs more until it is bound again$/,
      /^~ /,
    ],
  })
  t.match(await bind(t, database, '--file=bindings.yaml', products + reviews), {
    code: 0,
    notes: ['2 changed'],
  })
  t.match(await bind(t, database, '--file=bindings.yaml --check', products + reviews), { code: 0 })
})

t.test('a function of triggers that was given to another role is a difference', async (t) => {
  const database = await shopDatabase(t)
  await bind(t, database, '--file=bindings.yaml', products + reviews)
  const role = `stranger_${database.name}`
  await database.query(`create role ${role}`)
  t.teardown(() => database.query(`drop owned by ${role}; drop role ${role}`))
  await database.query(`
    grant insert on products to ${role}; alter table products owner to ${role};
    do $$ begin execute (select format('alter function %s owner to ${role}', tgfoid::regprocedure) from pg_trigger
      where tgrelid = 'products'::regclass and tgname like '%_row'); end $$`)
  const write = () => database.query("insert into products values (1, 'Cup'); delete from products")
  await t.rejects(write(), { message: 'permission denied for table cache_outbox' })
  t.match(await bind(t, database, '--file=bindings.yaml --check', products + reviews), {
    code: 1,
    out: [
      /^~ product:\{id\}: the triggers of public\.products run a function of role ".*", which may not write the outbox: /,
    ],
    notes: ['1 changed: nothing was changed yet'],
  })
  t.match(await bind(t, database, '--file=bindings.yaml', products + reviews), {
    code: 0,
    notes: ['1 changed'],
  })
  await write()
  t.match(await bind(t, database, '--file=bindings.yaml --check', products + reviews), {
    code: 0,
    out: { length: 0 },
  })
})

t.test('bindings that the file does not have are named, and unbound with --prune', async (t) => {
  const database = await shopDatabase(t)
  await bind(t, database, '--file=bindings.yaml', products + reviews)
  const kept = await bind(t, database, '--file=bindings.yaml', reviews)
  t.strictSame(kept, {
    code: 0,
    out: [],
    notes: [
      'product:{id} is bound to public.products and not in bindings.yaml; it stays, and --prune would unbind it',
      'nothing to change',
    ],
  })
  t.match(await bind(t, database, '--file=bindings.yaml --check --prune', reviews), {
    code: 1,
    out: ['- product:{id}: public.products'],
  })
  t.equal((await boundTables(database)).length, 2)
  t.strictSame(await bind(t, database, '--file=bindings.yaml --prune', reviews), {
    code: 0,
    out: ['- product:{id}: public.products'],
    notes: ['1 removed'],
  })
  t.match(await boundTables(database), [{ pattern: 'review:{product}:{id}' }])
})

t.test('a pattern can be replaced by one that overlaps it, in one transaction', async (t) => {
  const database = await shopDatabase(t)
  await bind(t, database, '--file=bindings.yaml', products)
  const other = products.replace('product:{id}', 'product:{name}')
  await database.query('create unique index on products (name)')
  t.match(await bind(t, database, '--file=bindings.yaml --prune', other), {
    code: 0,
    notes: ['1 added, 1 removed'],
  })
})

t.test('--dry-run prints SQL that does the same', async (t) => {
  const database = await shopDatabase(t)
  const { code, out, notes } = await bind(t, database, '--file=bindings.yaml --dry-run', products + reviews)
  t.equal(code, 0)
  t.strictSame(out, [
    'begin;',
    "select public.cache_bind('public.products', key => 'product:{id}', columns => array['id', 'name'], in_group => 'products');",
    "select public.cache_bind('public.reviews', key => 'review:{product}:{id}');",
    'commit;',
  ])
  t.strictSame(notes, ['2 added: nothing was changed yet'])
  t.strictSame(await boundTables(database), [])
  await database.query(out.join('\n'))
  t.match(await bind(t, database, '--file=bindings.yaml --check', products + reviews), {
    code: 0,
    out: { length: 0 },
  })
  t.strictSame(await bind(t, database, '--file=bindings.yaml --dry-run', products + reviews), {
    code: 0,
    out: [],
    notes: ['nothing to change'],
  })
})

t.test('without a file, the bindings are listed with their state', async (t) => {
  const database = await shopDatabase(t)
  t.strictSame(await bind(t, database, '', ' []'), { code: 0, out: [], notes: ['there are no bindings'] })
  await bind(t, database, '--file=bindings.yaml', `${products}${reviews}\n    announce: notify`)
  await database.query('drop table reviews')
  const fault = 'the table public.reviews was dropped'
  const cure = "run as the owner: select cache_unbind('review:{product}:{id}')"
  t.strictSame(await bind(t, database, '', ' []'), {
    code: 0,
    out: [
      'KEY                    TABLE            COLUMNS   GROUP     ANNOUNCE  STATE',
      'product:{id}           public.products  id, name  products  outbox    ok',
      'review:{product}:{id}  public.reviews   all                 notify    unusable',
      `review:{product}:{id}: ${fault} → ${cure}`,
    ],
    notes: [],
  })
  const { out } = await bind(t, database, '--json', ' []')
  t.strictSame(JSON.parse(out.join('\n')), [
    {
      key: 'product:{id}',
      table: 'public.products',
      columns: ['id', 'name'],
      group: 'products',
      announce: 'outbox',
      fault: null,
      cure: null,
    },
    {
      key: 'review:{product}:{id}',
      table: 'public.reviews',
      columns: null,
      group: null,
      announce: 'notify',
      fault,
      cure,
    },
  ])
})

t.test('a lock on the table is waited for, and two commands at once do the work once', async (t) => {
  const database = await shopDatabase(t)
  const holder = new pg.Client({ connectionString: database.url })
  await holder.connect()
  t.teardown(() => holder.end())
  await holder.query('begin; lock table products')
  const both = [1, 2].map(() => bind(t, database, '--file=bindings.yaml', products))
  await untilWaiting(database, 2)
  await holder.query('commit')
  const said = await Promise.all(both)
  t.strictSame(
    said.map(({ code }) => code),
    [0, 0],
  )
  t.strictSame(said.map(({ notes }) => notes[0]).sort(), ['1 added', 'nothing to change'])
})

async function untilWaiting({ query, name }: FreshDatabase, count: number): Promise<void> {
  await eventually(async () => {
    const { rows } = await query(
      "select from pg_stat_activity where datname = $1 and application_name = 'caching-layer bind' and wait_event_type = 'Lock'",
      [name],
    )
    return rows.length === count
  })
}
