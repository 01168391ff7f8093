import pino from 'pino'
import t from 'tap'
import { Database } from '../../../src/postgres/pool/database.js'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { recentKeys } from '../../../src/postgres/store/recent-keys.js'
import { freshDatabase } from '../../support/database.js'

t.test('the keys written last come first, without expired ones', async (t) => {
  const { url, query } = await freshDatabase(t)
  await query(
    'create table cache_entries (key text primary key, value text not null, updated_at timestamp not null default now())',
  )
  await query(`insert into cache_entries values ('older', '', '2020-01-01'), ('old', '', '2021-01-01')`)
  await migrate(url)
  const database = new Database({ url, poolSize: 1, timeoutMs: 5_000, log: pino({ level: 'silent' }) })
  t.teardown(() => database.close())

  for (const key of ['a', 'b', 'c'])
    await query('insert into cache_entries (key, value) values ($1, $1)', [key])
  await query(
    `insert into cache_entries (key, value, expires_at) values ('gone', '', now() - interval '1 s')`,
  )
  await query(`update cache_entries set value = 'again' where key = 'a'`)
  t.same(await recentKeys(database, 'public', 10), ['a', 'c', 'b', 'old', 'older'])
  t.same(await recentKeys(database, 'public', 2), ['a', 'c'])
})
