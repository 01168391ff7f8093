import { readFile } from 'node:fs/promises'
import pg from 'pg'

const file = new URL('../../sql/sample.sql', import.meta.url)

/**
 * Creates tables with data that are bound to keys, unless they exist. The migrations must have run. Throws an Error of
 * one line if the database has other tables of these names.
 */
export async function createSampleTables(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    // PostgreSQL runs statements that are sent together in one transaction.
    await client.query(await readFile(file, 'utf8'))
  } catch (error) {
    throw new Error(`--sample: the tables products and reviews: ${(error as Error).message}`, {
      cause: error,
    })
  } finally {
    await client.end()
  }
}
