import pg from 'pg'
import t from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { cacheDatabase, freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import type { JsonClient } from '../../support/json-client.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const post = (client: JsonClient, path: string, body: unknown) => client.request('POST', path, { body })

t.test('an application invalidates in its own transaction', async (t) => {
  const { url, query } = await freshDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  const set = (key: string, groups: string[] = []) => post(client, '/cache/set', { key, value: 1, groups })
  const application = new pg.Client({ connectionString: url })
  await application.connect()
  t.teardown(() => application.end())
  const calls = [
    "cache_invalidate('k:1')",
    "cache_invalidate_group('g')",
    "cache_invalidate_prefix('k:')",
    'cache_invalidate_all()',
  ]
  for (const call of calls) {
    await set('k:1', ['g'])
    await set('other')
    await application.query('begin')
    t.same((await application.query(`select ${call}::int as removed`)).rows, [
      { removed: call === 'cache_invalidate_all()' ? 2 : 1 },
    ])
    t.equal((await client.get('k:1')).body.source, 'cache', 'before the commit, everybody sees the old entry')
    await application.query('rollback')
    await query('select pg_notify($1, $2)', ['nobody', 'so that anything announced before has arrived'])
    t.equal((await client.get('k:1')).status, 200, 'nothing happens on rollback')
    await application.query(`begin; select ${call}; commit`)
    await eventually(async () => (await client.get('k:1')).status === 404)
  }
})

t.test('the functions go on when the schema is renamed, and are not misled', async (t) => {
  const { url, query } = await freshDatabase(t)
  await query('create schema cache')
  const inSchema = `${url}?options=-c%20search_path%3Dcache`
  await migrate(inSchema)
  await query(
    "insert into cache.cache_entries (key, value, groups) values ('k', '1', '{g}'), ('p%', '1', null)",
  )
  await query('alter schema cache rename to renamed')
  await query('create table public.cache_entries (key text, groups text[])')
  t.same((await query("select renamed.cache_invalidate_prefix('p%')::int as removed")).rows, [{ removed: 1 }])
  t.same((await query("select renamed.cache_invalidate_group('g')::int as removed")).rows, [{ removed: 1 }])
  await t.rejects(query("select renamed.cache_invalidate_prefix('')"), { message: 'the prefix is empty' })
  t.same((await query('select renamed.cache_invalidate_prefix(null)::int as removed')).rows, [{ removed: 0 }])
})

t.test('100,000 entries of a group: one statement, one notification', async (t) => {
  const { url, query } = await cacheDatabase(t)
  await query(
    "insert into cache_entries (key, value, groups) select 'k' || n, 'x', '{g}' from generate_series(1, 100000) n",
  )
  const listener = new pg.Client({ connectionString: url })
  await listener.connect()
  t.teardown(() => listener.end())
  const payloads: string[] = []
  listener.on('notification', ({ payload = '' }) => payloads.push(payload))
  await listener.query(
    "do $$ begin execute format('listen %I', cache_channel('public', 'cache_entries')); end $$",
  )
  t.same((await query("select cache_invalidate_group('g')::int as removed")).rows, [{ removed: 100_000 }])
  await listener.query('select')
  t.same(payloads, ['*'])
})

t.test('only as many as are removed are read, where an index can help', async (t) => {
  const { query } = await cacheDatabase(t)
  await query(
    "insert into cache_entries (key, value, groups) select 'k' || n, 'x', array['g' || n % 1000] from generate_series(1, 20000) n",
  )
  await query('analyze cache_entries')
  const { rows } = await query<{ 'QUERY PLAN': string }>(
    "explain select key from cache_entries where groups operator(pg_catalog.@>) array['g7']",
  )
  t.match(rows.map((row) => row['QUERY PLAN']).join('\n'), /Bitmap Index Scan on cache_entries_groups/)
})
