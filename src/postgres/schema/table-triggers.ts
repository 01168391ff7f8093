import { entriesIn } from './table-identity.js'

/** Required state of each trigger, by name: `A` always enabled, `R` enabled in the replica role; see sql/. */
export const triggers: Readonly<Record<string, 'A' | 'R'>> = {
  cache_entries_1_content_type: 'A',
  cache_entries_2_stamp: 'A',
  cache_entries_3_inserted: 'A',
  cache_entries_3_updated: 'A',
  cache_entries_3_deleted: 'A',
  cache_entries_3_truncated: 'A',
  cache_entries_4_replicated: 'R',
}

/** SQL for the rows of `triggers`: name and state. */
export const wantedTriggers = Object.entries(triggers)
  .map(([name, enabled]) => `('${name}', '${enabled}'::"char")`)
  .join(', ')

/**
 * Returns SQL that is true if the table has as many triggers as we create, so that rows are stored as they are sent.
 */
export function isPlainIn(schema: string): string {
  return `(select pg_catalog.count(*) = ${Object.keys(triggers).length}::bigint from pg_trigger
    where tgrelid = ${entriesIn(schema)}::oid and not tgisinternal)`
}
