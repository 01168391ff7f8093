import pg from 'pg'

/** Runs SQL on a connection of its own. Returns the rows of the last statement as JSON, or its command and count. */
export async function runSql(databaseUrl: string, sql: string): Promise<string> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'caching-layer dev sql' })
  await client.connect()
  try {
    const result = await client.query(sql)
    const last = Array.isArray(result) ? result.at(-1) : result
    return last.rows.length > 0 ? JSON.stringify(last.rows) : `${last.command} ${last.rowCount}`
  } finally {
    await client.end()
  }
}
