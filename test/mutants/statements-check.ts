/**
 * Exits with 0 if PostgreSQL takes the migrations and the statements of the store, whatever they then do: a mutant that
 * is no SQL would fail in every test, and show nothing.
 *
 * Where `TEST_TEMPLATE` names no database, the migrations are changed: the one that they have made here becomes the
 * template of the tests in this process, so that they run once.
 */
import { basename } from 'node:path'
import pg from 'pg'
import { proofIn } from '../../src/postgres/feed/proof.js'
import { inspectTable } from '../../src/postgres/schema/table-inspection.js'
import { entryStatements } from '../../src/postgres/store/entry-statements.js'
import { cacheDatabase, makeTemplate } from '../support/database.js'

const { TEST_TEMPLATE, TEST_DATABASE_URL = '' } = process.env
if (TEST_TEMPLATE) {
  const ends: (() => unknown)[] = []
  const { url } = await cacheDatabase({ teardown: (end) => ends.push(end) })
  await using(url, takesStatements)
  for (const end of ends) await end()
} else {
  // One for each copy of the project: processes that end at a failure leave theirs.
  const copy = basename(process.cwd()).replace(/\W/g, '_')
  const { name, url } = await makeTemplate(TEST_DATABASE_URL, `template_of_${copy}`)
  await using(url, takesStatements)
  await using(url, runsFunctions)
  process.env.TEST_TEMPLATE = name
}

async function using(url: string, check: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await check(client).finally(() => client.end())
}

async function takesStatements(client: pg.Client): Promise<void> {
  const statements = Object.entries({ ...entryStatements('public'), proof: proofIn('public') })
  for (const [name, sql] of statements) await client.query(`prepare ${name.toLowerCase()} as ${sql}`)
  await inspectTable(async (sql) => (await client.query(sql)).rows)
}

/** Functions in PL/pgSQL are compiled when they are called. The rows and what they cause are rolled back. */
async function runsFunctions(client: pg.Client): Promise<void> {
  await client.query('begin')
  await client.query("insert into cache_entries (key, value) values ('a', '1'), ('b', '1')")
  await client.query("update cache_entries set value = '2'")
  await client.query("delete from cache_entries where key = 'a'")
  await client.query('select * from cache_position()')
  await client.query('set constraints all immediate')
  await client.query('rollback')
}
