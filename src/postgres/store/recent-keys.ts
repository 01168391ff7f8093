import type { Database } from '../pool/database.js'
import { quoteIdentifier } from '../schema/schema-owner.js'

/**
 * Returns the keys of the `count` entries that were written last, the latest first. There is no index for this: it
 * would slow down every update, to save one scan at the start. Rows from before versions existed have version 0, and
 * are ordered by `updated_at`.
 */
export async function recentKeys(
  database: Pick<Database, 'read'>,
  schema: string,
  count: number,
): Promise<string[]> {
  const rows = await database.read<{ key: string }>(
    `select key from ${quoteIdentifier(schema)}.cache_entries
     where expires_at is null or expires_at > clock_timestamp()
     order by version desc, updated_at desc
     limit $1`,
    [count],
  )
  return rows.map(({ key }) => key)
}
