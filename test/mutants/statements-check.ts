/**
 * Exits with 0 if PostgreSQL takes the migrations and the statements of the store, whatever they then do: a mutant that
 * is no SQL would fail in every test, and show nothing.
 */
import pg from 'pg'
import { proofIn } from '../../src/postgres/feed/proof.js'
import { migrate } from '../../src/postgres/schema/migrate.js'
import { inspectTable } from '../../src/postgres/schema/table-inspection.js'
import { entryStatements } from '../../src/postgres/store/entry-statements.js'
import { freshDatabase } from '../support/database.js'

const ends: (() => unknown)[] = []
try {
  const { url } = await freshDatabase({ teardown: (end) => ends.push(end) })
  await migrate(url)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  ends.unshift(() => client.end())
  const statements = Object.entries({ ...entryStatements('public'), proof: proofIn('public') })
  for (const [name, sql] of statements) await client.query(`prepare ${name.toLowerCase()} as ${sql}`)
  await inspectTable(async (sql) => (await client.query(sql)).rows)
  // Functions in PL/pgSQL are compiled when they are called.
  await client.query("insert into cache_entries (key, value) values ('a', '1'), ('b', '1')")
  await client.query("update cache_entries set value = '2'")
  await client.query("delete from cache_entries where key = 'a'")
  await client.query('select * from cache_position()')
} finally {
  for (const end of ends) await end()
}
