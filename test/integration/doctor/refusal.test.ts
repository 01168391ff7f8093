import pg from 'pg'
import t from 'tap'
import { cureOfRefusal } from '../../../src/tools/doctor/refusal.js'
import { cacheDatabase } from '../../support/database.js'

t.test('a probe that a read-only database refuses is cured by its setting', async (t) => {
  const { url, name, query } = await cacheDatabase(t)
  await query(`alter database ${name} set default_transaction_read_only = on`)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  const error = await client
    .query("insert into cache_entries (key, value) values ('a', '1')")
    .catch((error: unknown) => error)
  t.match(error, { code: '25006' })
  const cure = await cureOfRefusal(client, { error, schema: 'public', others: [] })
  t.match(cure, new RegExp(`alter database "?${name}"? reset default_transaction_read_only`))
})
