import pg from 'pg'
import t from 'tap'
import { inspectBindings } from '../../../src/postgres/bindings/binding-inspection.js'
import { cacheDatabase } from '../../support/database.js'

t.test('an inspection accepts that there is no binding, and that a table was dropped', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  const inspect = () => inspectBindings(async (sql) => (await client.query(sql)).rows as never, 'public')
  t.strictSame((await inspect()).sources, [])

  await query(
    "create table products (id int primary key); select cache_bind('products', key => 'product:{id}')",
  )
  await query('drop table products')
  t.match((await inspect()).sources, [
    { table: undefined, fault: { says: 'the table public.products was dropped' } },
  ])
})
