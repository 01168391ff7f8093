import type pg from 'pg'

export interface BackupColumn {
  readonly name: string
  readonly type: string
}

/**
 * Returns all columns of `table` except the version: a restored row always gets a fresh one. Generated columns are left
 * out. Throws if the table is not set up.
 */
export async function backupColumns(client: pg.Client, table: string): Promise<BackupColumn[]> {
  const { rows } = await client.query<BackupColumn>(
    `select attname as name, format_type(atttypid, atttypmod) as type
     from pg_attribute
     where attrelid = to_regclass($1)::oid and attnum > 0 and not attisdropped
       and attgenerated = '' and attname <> 'version'
     order by attnum`,
    [table],
  )
  if (!rows.some(({ name }) => name === 'expires_at'))
    throw new Error('the table is not set up: run "caching-layer migrate"')
  return rows
}
