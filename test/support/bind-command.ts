import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { cacheDatabase, type FreshDatabase } from './database.js'
import { shell } from './shell.js'

/** Bindings of the tables of `shopDatabase`, as a file has them below `bindings:`. */
export const products = `
  - table: public.products
    key: product:{id}
    columns: [id, name]
    group: products`
export const reviews = `
  - table: public.reviews
    key: review:{product}:{id}`

/** Creates a database with tables that nobody has bound yet. */
export async function shopDatabase(t: Test): Promise<FreshDatabase> {
  const database = await cacheDatabase(t)
  await database.query('create table products (id int primary key, name text, price numeric)')
  await database.query('create table reviews (product int, id int, stars int, primary key (product, id))')
  return database
}

export interface BindSaid {
  readonly code: number | null
  readonly out: readonly string[]
  readonly notes: readonly string[]
}

/** Runs `caching-layer bind` in a folder whose bindings.yaml has these bindings. */
export async function bind(
  t: Test,
  { url }: Pick<FreshDatabase, 'url'>,
  options: string,
  bindings: string,
): Promise<BindSaid> {
  const folder = await mkdtemp(join(tmpdir(), 'caching-layer-bind-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'bindings.yaml'), `bindings:${bindings}\n`)
  const { code, stdout, stderr } = await shell(t, `cd ${folder}; caching-layer bind ${options}`, {
    DATABASE_URL: url,
  })
  return { code, out: stdout.split('\n').slice(0, -1), notes: stderr.split('\n').slice(0, -1) }
}

/** Returns the bindings with the ids of the transactions that have written them. */
export async function boundTables({ query }: FreshDatabase): Promise<readonly unknown[]> {
  const { rows } = await query(
    'select pattern, bound::text, columns, group_name, xmin::text from cache_bound_tables order by pattern',
  )
  return rows
}
