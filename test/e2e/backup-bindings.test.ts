import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { bind, boundTables, products, reviews, shopDatabase } from '../support/bind-command.js'
import { CliProcess } from '../support/child-process.js'
import { cacheDatabase, type FreshDatabase } from '../support/database.js'
import { earlierRelease } from '../support/earlier-release.js'
import { shell } from '../support/shell.js'

const folder = await mkdtemp(join(tmpdir(), 'caching-layer-backup-bindings-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const file = join(folder, 'entries')

const shop = await shopDatabase(t)
await bind(t, shop, '--file=bindings.yaml', products + reviews)
await shop.query("insert into cache_entries (key, value) values ('foo', 'bar')")
const backup = await shell(t, `caching-layer backup --file=${file}`, { DATABASE_URL: shop.url })

async function restore({ url }: FreshDatabase, options: string) {
  const { code, stdout, stderr } = await shell(t, `caching-layer restore --file=${file} ${options}`, {
    DATABASE_URL: url,
  })
  return { code, out: stdout.split('\n').slice(0, -1), notes: stderr.split('\n').slice(0, -1) }
}

t.test('a backup carries the bindings, and a restore makes them', async (t) => {
  t.match(backup.stderr, /^1 entries, 2 bindings in /)
  const other = await shopDatabase(t)
  t.match(await restore(other, '--mode=replace'), {
    code: 0,
    notes: [/^1 inserted, .*, 0 expired, 2 bound in \d+\.\d s$/],
  })
  const bound = await boundTables(other)
  t.match(bound, [
    { pattern: 'product:{id}', bound: 'products', columns: ['id', 'name'], group_name: 'products' },
    { pattern: 'review:{product}:{id}', bound: 'reviews', columns: null, group_name: null },
  ])
  t.match(await restore(other, '--json'), { code: 0, out: [/"bindings":\{"bound":0,"refused":0\}/] })
  t.strictSame(await boundTables(other), bound, 'those that are equal are not bound again')
})

t.test('merge changes a binding back, missing leaves it, and none is unbound', async (t) => {
  const other = await shopDatabase(t)
  const changed = products.replace('[id, name]', '[id, price]')
  await other.query('create table extras (id int primary key)')
  const extra = '\n  - {table: public.extras, key: "extra:{id}"}'
  await bind(t, other, '--file=bindings.yaml', changed + extra)
  t.match(await restore(other, '--mode=missing --json'), {
    code: 0,
    out: [/"bindings":\{"bound":1,"refused":0\}/],
  })
  t.match(await boundTables(other), [
    { pattern: 'extra:{id}' },
    { columns: ['id', 'price'] },
    { pattern: 'review:{product}:{id}' },
  ])
  t.match(await restore(other, '--mode=replace --json'), {
    code: 0,
    out: [/"bindings":\{"bound":1,"refused":0\}/],
  })
  t.match(await boundTables(other), [{ pattern: 'extra:{id}' }, { columns: ['id', 'name'] }, {}])
})

t.test('bindings that cannot be made are named, and everything else is restored', async (t) => {
  const other = await cacheDatabase(t)
  await other.query('create view products as select 1 as id')
  const { code, notes } = await restore(other, '')
  t.equal(code, 1)
  t.match(notes, [
    'product:{id} was not bound: public.products is a view, and cannot be bound → Bind the tables that it reads',
    'review:{product}:{id} was not bound: there is no table public.reviews',
    /^1 inserted, .*, 0 expired in /,
  ])
  const { rows } = await other.query('select value from cache_entries')
  t.strictSame(rows, [{ value: 'bar' }])
})

t.test('a role that does not own the tables restores the entries only', async (t) => {
  const other = await shopDatabase(t)
  const role = `restorer_${other.name}`
  await other.query(
    `create role ${role} login password 'x'; grant temporary on database ${other.name} to ${role};
     grant select, insert, update on cache_entries to ${role}; grant insert on cache_marks to ${role}`,
  )
  const url = Object.assign(new URL(other.url), { username: role, password: 'x' }).href
  const { code, notes } = await restore({ ...other, url }, '')
  t.equal(code, 1)
  t.match(notes, [
    /^product:\{id\} was not bound: only the owner of public\.products can bind it/,
    /^review:\{product\}:\{id\} was not bound: only the owner of public\.reviews can bind it/,
    /^1 inserted/,
  ])
  await other.query(`drop owned by ${role}; drop role ${role}`)
})

t.test('--no-bindings leaves them out of a backup or of a restore', async (t) => {
  const other = await shopDatabase(t)
  t.match(await restore(other, '--no-bindings'), { code: 0, notes: [/^1 inserted/] })
  t.strictSame(await boundTables(other), [])
  const { stdout } = await shell(t, 'caching-layer backup --no-bindings', { DATABASE_URL: shop.url })
  t.match(stdout, '"format_version":1,')
  t.notMatch(stdout, 'product:{id}')
})

t.test('an earlier release says that it cannot read a backup with bindings', async (t) => {
  t.match(await readFile(file, 'utf8'), '"format_version":2,')
  const other = await cacheDatabase(t)
  const release = await earlierRelease('0.1.0')
  const process = new CliProcess(t, ['restore', `--file=${file}`], { DATABASE_URL: other.url }, { release })
  t.strictSame(await process.exited, { code: 1, signal: null })
  t.match(process.stderr, 'the backup has format version 2, and this release reads 1')
})

t.test('a database without the migration is named before anything is restored', async (t) => {
  const other = await shopDatabase(t)
  await other.query('drop view cache_bindings; drop table cache_bound_tables')
  const { code, notes } = await restore(other, '')
  t.equal(code, 1)
  t.match(notes, [/public\.cache_entries is not up to date: run "caching-layer migrate"$/])
})
