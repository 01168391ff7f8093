/** A mapping reads values with the settings by which the query reads them. */
import t from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { hold } from '../../support/held-answers.js'
import { startLiveSidecar } from '../../support/sidecar.js'

t.test('a time belongs to the same day for a mapping and for its query', async (t) => {
  const { query, url, name } = await cacheDatabase(t)
  await query(`
    alter database "${name}" set timezone = 'America/Los_Angeles';
    create table sale (id int primary key, at timestamptz, amount int);
    insert into sale values (1, '2024-06-01 02:00+00', 30);
    select cache_bind_query('daily:{day}',
      query => 'select sum(amount) as total from sale where at::date = $1',
      depends => '{"public.sale": "select at::date from sale where id = {id}"}')`)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, migrate: false, ttlSeconds: 0 })
  t.same(await hold(client, 'daily:2024-06-01'), { total: 30 })
  await query('update sale set amount = 40')
  await eventually(async () => ((await client.value('daily:2024-06-01')) as { total: number }).total === 40)
})
