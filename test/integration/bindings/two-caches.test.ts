/** Two caches in one database, with bindings of the same table. */
import t from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { cacheDatabase, type FreshDatabase } from '../../support/database.js'
import { bindingQuery } from '../../support/film-tables.js'

/** A database with caches in the schemas `public` and `other`, and a table. */
async function twoCaches(): Promise<FreshDatabase> {
  const database = await cacheDatabase(t)
  await database.query(`
    alter schema public rename to other; create schema public;
    create table public.film (id int primary key, title text); insert into film values (1, 'Old');
    create table public.series (id int primary key)`)
  await migrate(database.url)
  return database
}

const bindsQuery = bindingQuery('film:{id}', 'select title from film where id = $1', {
  'public.film': '{id}',
}).replace('cache_bind_query', 'public.cache_bind_query')
const bindsTable = "select other.cache_bind('film', 'film:{id}')"

for (const [order, bindings] of [
  ['the query first', [bindsQuery, bindsTable]],
  ['the table first', [bindsTable, bindsQuery]],
] as const)
  t.test(`a query and a table with the same pattern, ${order}, end without each other`, async (t) => {
    const { query } = await twoCaches()
    for (const bind of bindings) await query(bind)
    const announced = async (schema: string): Promise<number> => {
      await query(`delete from ${schema}.cache_outbox`)
      await query("update film set title = title || '!'")
      return (await query(`select from ${schema}.cache_outbox`)).rows.length
    }
    t.same([await announced('public'), await announced('other')], [1, 1])
    await query("select other.cache_bind('film', 'film:{id}', array['id'])")
    t.same([await announced('public'), await announced('other')], [1, 1], 'one was bound again')
    await query("select other.cache_unbind('film:{id}')")
    t.same([await announced('public'), await announced('other')], [1, 0], 'one has ended')
    await query(bindsTable)
    await query("select public.cache_unbind('film:{id}')")
    t.same([await announced('public'), await announced('other')], [0, 1], 'the other one has ended')
  })

t.test('a table that another cache has bound moves to another table alone', async (t) => {
  const { query } = await twoCaches()
  await query(bindsQuery)
  await query("select other.cache_bind('film', 'film:{id}'); select other.cache_bind('series', 'film:{id}')")
  await query("update film set title = 'New'")
  t.match((await query('select key from public.cache_outbox')).rows, [{ key: 'film:1' }])
  t.same((await query('select key from other.cache_outbox')).rows, [])
})
