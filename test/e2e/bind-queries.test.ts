/** Bound queries: caching-layer bind, backup and restore. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { bind, products } from '../support/bind-command.js'
import { cacheDatabase, type FreshDatabase } from '../support/database.js'
import { filmTables } from '../support/film-tables.js'
import { shell } from '../support/shell.js'

const page = `
  - key: film_page:{id}
    query: |
      select title, (select count(*) from film_actor where film_id = f.film_id) as actors
      from film as f where film_id = $1
    depends:
      public.film: '{film_id}'
      public.film_actor: '{film_id}'`
const cast = `
  - key: films_of:{actor}
    query: select title from film join film_actor using (film_id) where actor_id = $1
    depends:
      public.film_actor: '{actor_id}'
      public.film: select actor_id from film_actor where film_id = {film_id}
    many: true
    ttl_seconds: 60
    group: films`
const both = ` []\nqueries:${page}${cast}`

async function filmDatabase(t: Test): Promise<FreshDatabase> {
  const database = await cacheDatabase(t)
  await database.query(filmTables)
  return database
}

const definitions = async ({ query }: FreshDatabase) =>
  (await query('select *, xmin::text from cache_bound_queries order by pattern')).rows

t.test('a file is applied, and the second time there is nothing to change', async (t) => {
  const database = await filmDatabase(t)
  const printed = await bind(t, database, '--file=bindings.yaml --dry-run', both)
  t.match(printed, { code: 0, out: ['begin;', /cache_bind_query\('film_page:\{id\}'/] })
  t.strictSame(await definitions(database), [])
  t.match(await bind(t, database, '--file=bindings.yaml --check', both), { code: 1 })
  t.strictSame(await bind(t, database, '--file=bindings.yaml', both), {
    code: 0,
    out: [
      '+ film_page:{id}: a query',
      '+ films_of:{actor}: a query, many rows, held for 60 seconds, group films',
    ],
    notes: ['2 added'],
  })
  const before = await definitions(database)
  t.match(before, [{ pattern: 'film_page:{id}' }, { pattern: 'films_of:{actor}', is_many: true }])
  const nothing = { code: 0, out: [], notes: ['nothing to change'] }
  t.strictSame(await bind(t, database, '--file=bindings.yaml', both), nothing)
  t.strictSame(await bind(t, database, '--file=bindings.yaml --check', both), nothing)
  t.strictSame(await definitions(database), before)
  await database.query(`begin; select cache_unbind('film_page:{id}'), cache_unbind('films_of:{actor}')`)
  await database.query(printed.out.join('\n'))
  t.strictSame(
    await bind(t, database, '--file=bindings.yaml --check', both),
    nothing,
    'the SQL does the same',
  )
})

t.test('only what differs is changed', async (t) => {
  const database = await filmDatabase(t)
  await bind(t, database, '--file=bindings.yaml', both)
  const changes: readonly (readonly [file: string, says: string | RegExp])[] = [
    [both.replace('as actors', 'as cast'), '~ film_page:{id}: another query'],
    [
      both
        .replace('many: true', '')
        .replace('ttl_seconds: 60', 'ttl_seconds: 30')
        .replace('group: films', ''),
      /^~ films_of:\{actor\}: one row, which were many rows; ttl 30 seconds, which was 60 seconds; group none, which was films$/,
    ],
    [
      both.replace("public.film_actor: '{film_id}'", "public.film_actor: ['{film_id}', 'select 1']"),
      '~ film_page:{id}: other dependencies',
    ],
    [
      both.replace('group: films', 'group: films\n    names_in: public'),
      /names in public, which were in "\$user", public$/,
    ],
  ]
  for (const [file, says] of changes) {
    const said = await bind(t, database, '--file=bindings.yaml --check', file)
    t.match(said, { code: 1, out: [says] })
  }
  t.match(await bind(t, database, '--file=bindings.yaml', both.replace('as actors', 'as cast')), { code: 0 })
  t.match(await definitions(database), [{ query: /as cast/ }, { pattern: 'films_of:{actor}' }])
  const table = "\n  - {table: public.film, key: 'film_page:{film_id}'}"
  t.match(await bind(t, database, '--file=bindings.yaml --prune', table), {
    code: 0,
    out: ['- film_page:{id}: a query', '- films_of:{actor}: a query', '+ film_page:{film_id}: public.film'],
  })
})

t.test('a refused query is named with its line and the reason', async (t) => {
  const database = await filmDatabase(t)
  const file = both.replace("      public.film_actor: '{film_id}'", '')
  t.match(await bind(t, database, '--file=bindings.yaml', file), {
    code: 1,
    notes: [
      /bindings\.yaml:3: film_page:\{id\}: the query reads public\.film_actor, which depends leaves out → Say/,
      'nothing was changed',
    ],
  })
  t.strictSame(await definitions(database), [])
})

t.test('the list, and a view that reads another table by now', async (t) => {
  const database = await filmDatabase(t)
  const view = page.replaceAll('from film as f', 'from film_view as f')
  await database.query('create view film_view as select film_id, title from film')
  await bind(t, database, '--file=bindings.yaml', ` []\nqueries:${view}${cast}`)
  const list = async () => (await bind(t, database, '', '')).out
  t.match(await list(), [
    /^KEY/,
    /^film_page:\{id\} +public\.film, public\.film_actor +query +outbox +ok$/,
    /^films_of:\{actor\} .* query, many +films +outbox +ok$/,
  ])
  await database.query(
    'create or replace view film_view as select film_id, name as title from film join actor on true',
  )
  const [, first, , fault] = await list()
  t.match(first, /unusable$/)
  t.match(
    fault,
    /^film_page:\{id\}: the query reads public\.actor by now, which depends leaves out → bind the query with/,
  )
})

t.test('a backup carries queries, and a restore binds them', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'caching-layer-queries-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'entries')
  const database = await filmDatabase(t)
  await database.query('create table products (id int primary key, name text)')
  await bind(t, database, '--file=bindings.yaml', `${products}\nqueries:${page}${cast}`)
  const backup = await shell(t, `caching-layer backup --file=${file}`, { DATABASE_URL: database.url })
  t.match(backup, { code: 0, stderr: /^0 entries, 3 bindings in / })
  const other = await filmDatabase(t)
  await other.query('create table products (id int primary key, name text)')
  const restore = () => shell(t, `caching-layer restore --file=${file} --json`, { DATABASE_URL: other.url })
  t.match(await restore(), { code: 0, stdout: /"bindings":\{"bound":3,"refused":0\}/ })
  const written = async (one: FreshDatabase) =>
    (await definitions(one)).map(({ xmin: _xmin, ...definition }) => definition)
  t.strictSame(await written(other), await written(database))
  t.match(await restore(), { code: 0, stdout: /"bindings":\{"bound":0,"refused":0\}/ })
  const empty = await cacheDatabase(t)
  const refused = await shell(t, `caching-layer restore --file=${file}`, { DATABASE_URL: empty.url })
  t.match(refused, { code: 1, stderr: /film_page:\{id\} was not bound: relation "film" does not exist/ })
})
