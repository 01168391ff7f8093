import t from 'tap'
import { bind, boundTables, products, shopDatabase } from '../support/bind-command.js'
import { freshDatabase } from '../support/database.js'

t.test('if the database refuses one binding, all reasons are named and nothing is changed', async (t) => {
  const database = await shopDatabase(t)
  await database.query('create view shown as select * from products; create schema "Sales"')
  await database.query('create table "Sales"."Order Items" (id int)')
  const refused = `
  - table: public.shown
    key: shown:{id}
  - table: '"Sales"."Order Items"'
    key: item:{id}`
  const said = await bind(t, database, '--file=bindings.yaml', products + refused)
  t.strictSame(said, {
    code: 1,
    out: [],
    notes: [
      'caching-layer: bindings.yaml:6: shown:{id}: public.shown is a view, and cannot be bound → Bind the tables that it reads',
      'caching-layer: bindings.yaml:8: item:{id}: "Sales"."Order Items" has no unique index on id. ' +
        'Without one, two rows could have the same key → create unique index concurrently on "Sales"."Order Items" (id); or, for several rows with one key, bind a query of them: cache_bind_query(..., many => true)',
      'nothing was changed',
    ],
  })
  t.strictSame(await boundTables(database), [])
})

t.test('a table that does not exist is named with its line, in every mode', async (t) => {
  const database = await shopDatabase(t)
  const bindings = products.replace('public.products', 'public.prodcts')
  for (const mode of ['', '--check', '--dry-run'])
    t.strictSame(
      await bind(t, database, `--file=bindings.yaml ${mode}`, bindings),
      {
        code: 1,
        out: [],
        notes: [
          'caching-layer: bindings.yaml:2: there is no table public.prodcts; did you mean public.products?',
          'nothing was changed',
        ],
      },
      mode,
    )
})

t.test('patterns that overlap are named in every mode', async (t) => {
  const database = await shopDatabase(t)
  await database.query('create table items (id int primary key, code int unique)')
  await database.query("select cache_bind('items', 'other:{id}')")
  const pattern = (key: string) => `
  - table: public.items
    key: ${key}`
  const bindings = `${products}${pattern('product:{code}')}${pattern('other:{code}')}${pattern('item:{id}')}`
  for (const mode of ['', '--check', '--dry-run'])
    t.strictSame(
      await bind(t, database, `--file=bindings.yaml ${mode}`, bindings),
      {
        code: 1,
        out: [],
        notes: [
          'caching-layer: bindings.yaml:6: product:{code}: product:{code} and product:{id} can match the same key → Begin one of them with another text, or unbind product:{id} first',
          'caching-layer: bindings.yaml:8: other:{code}: other:{code} and other:{id} can match the same key → Begin one of them with another text, or unbind other:{id} first',
          'nothing was changed',
        ],
      },
      mode,
    )
  t.match(await bind(t, database, '--file=bindings.yaml --check --prune', pattern('other:{code}')), {
    out: ['- other:{id}: public.items', '+ other:{code}: public.items'],
  })
})

t.test('a role that does not own the table is refused', async (t) => {
  const database = await shopDatabase(t)
  const role = `binder_${database.name}`
  await database.query(`create role ${role} login password 'x'; grant all on cache_bound_tables to ${role}`)
  t.teardown(() => database.drop().then(() => undefined))
  const url = Object.assign(new URL(database.url), { username: role, password: 'x' }).href
  const said = await bind(t, { ...database, url }, '--file=bindings.yaml', products)
  t.equal(said.code, 1)
  t.match(
    said.notes[0],
    /^caching-layer: bindings\.yaml:2: product:\{id\}: only the owner of public\.products can bind/,
  )
  await database.query(`drop owned by ${role}; drop role ${role}`)
})

t.test('a faulty file, or wrong use, is exit code 2', async (t) => {
  const database = await shopDatabase(t)
  t.strictSame(await bind(t, database, '--file=bindings.yaml', products.replace('columns', 'colums')), {
    code: 2,
    out: [],
    notes: ['caching-layer: bindings.yaml:4: there is no member "colums"; did you mean columns?'],
  })
  for (const [options, says] of [
    ['--file=missing.yaml', /^caching-layer: bind: missing\.yaml cannot be read: ENOENT/],
    ['--file=', /bind: --file must not be empty/],
    ['--check', /bind: --check needs --file/],
    ['--dry-run', /bind: --dry-run needs --file/],
    ['--prune', /bind: --prune needs --file/],
    ['--file=bindings.yaml --json', /bind: --file and --json exclude each other/],
    ['--file=bindings.yaml --check --dry-run', /bind: --check and --dry-run exclude each other/],
  ] as const)
    t.match(
      await bind(t, database, options, products),
      { code: 2, out: { length: 0 }, notes: [says] },
      options,
    )
})

t.test('a database that cannot be asked is exit code 2, not that of a difference', async (t) => {
  const database = await freshDatabase(t)
  t.match(await bind(t, database, '--file=bindings.yaml --check', products), {
    code: 2,
    notes: ['caching-layer: the database has no table for bindings yet: run "caching-layer migrate"'],
  })
  const url = 'postgresql://app@127.0.0.1:1/app'
  t.match(await bind(t, { ...database, url }, '--file=bindings.yaml --check', products), { code: 2 })
})
