import type { Database } from './database.js'

/** By name, how each trigger must be enabled: `A` always, `R` in the replica role; see sql/. */
const triggers: Readonly<Record<string, 'A' | 'R'>> = {
  cache_entries_1_content_type: 'A',
  cache_entries_2_stamp: 'A',
  cache_entries_3_inserted: 'A',
  cache_entries_3_updated: 'A',
  cache_entries_3_deleted: 'A',
  cache_entries_3_truncated: 'A',
  cache_entries_4_replicated: 'R',
}

export interface Schema {
  /** Where changes of the table are announced. */
  readonly channel: string
  /** Another one as soon as a trigger was made, dropped, enabled or disabled. */
  readonly state: string
  /** How full the server's notification queue is, from 0 to 1. When it is full, no write can commit. */
  readonly queueUsage: number
}

interface SchemaRow {
  readonly channel: string
  readonly state: string
  readonly queue_usage: number
  readonly missing: readonly string[]
}

/**
 * Looks at the table that `table` leads to. Rejects with an Error that says what to do when the schema is not as it must
 * be.
 */
export async function inspectSchema(
  database: Pick<Database, 'read'>,
  table = 'cache_entries',
): Promise<Schema> {
  const [row] = await database.read<SchemaRow>(
    `select 'caching_layer_' || left(md5(nspname::text || '.' || relname::text), 16) as channel,
              (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, xmin), ',' order by oid)
               from pg_trigger where tgrelid = pg_class.oid and tgname = any($1)) as state,
              pg_notification_queue_usage() as queue_usage,
              array(
                select name
                from unnest($1::text[], $2::"char"[]) as expected (name, enabled)
                where not exists (
                  select from pg_trigger
                  where tgrelid = pg_class.oid and tgname = expected.name and tgenabled = expected.enabled
                )
              ) as missing
       from pg_class join pg_namespace on pg_namespace.oid = relnamespace
       where pg_class.oid = to_regclass($3)::oid`,
    [Object.keys(triggers), Object.values(triggers), table],
  )
  if (row === undefined || row.missing.length === Object.keys(triggers).length)
    throw new Error('the table is not set up: run "caching-layer migrate"')
  if (row.missing.length > 0) {
    const cure = row.missing.map(
      (name) => `enable ${triggers[name] === 'R' ? 'replica' : 'always'} trigger ${name}`,
    )
    throw new Error(
      `changes are not announced: trigger ${row.missing.join(', ')} is missing or not enabled always; ` +
        `what is there is enabled by "alter table cache_entries ${cure.join(', ')}"`,
    )
  }
  return { channel: row.channel, state: row.state, queueUsage: row.queue_usage }
}
