import { quoteIdentifier } from './schema-owner.js'

/** Returns SQL for the epoch. */
export function epochIn(schema: string): string {
  return `${quoteIdentifier(schema)}.cache_epoch_of(${relationsIn(schema)})`
}

/** Returns SQL for the lineage of the table, which is stored with each mark. */
export function lineageIn(schema: string): string {
  return `${quoteIdentifier(schema)}.cache_lineage(${entriesIn(schema)})`
}

/** Returns SQL of type regclass for the table of entries. */
export function entriesIn(schema: string): string {
  return relationIn(schema, 'cache_entries')
}

/** Returns SQL for the epoch that a primary in this timeline has. `timeline` is SQL for eight hexadecimal digits. */
export function historyIn(schema: string, timeline: string): string {
  return `${quoteIdentifier(schema)}.cache_history(${timeline}, ${relationsIn(schema)})`
}

function relationsIn(schema: string): string {
  return `${entriesIn(schema)}, ${relationIn(schema, 'cache_version')}`
}

function relationIn(schema: string, relation: string): string {
  return `'${`${quoteIdentifier(schema)}.${relation}`.replaceAll("'", "''")}'::regclass`
}

/**
 * Returns SQL for the fingerprint of a table. It changes with anything that could change values unseen: when a trigger,
 * rule or column is created, dropped, renamed, enabled or disabled, or when the table's file is replaced.
 */
export const fingerprintOf = (table: string) => `
  (select md5(pg_catalog.concat_ws(' ', pg_relation_filenode(${table}),
     (select pg_catalog.string_agg(ev_enabled::text || oid::text, ',' order by oid)
      from pg_rewrite where ev_class = ${table}::oid),
     (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', attnum, attname, atttypid), ',' order by attnum)
      from pg_attribute where attrelid = ${table}::oid and attnum > 0::smallint),
     pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, xmin, tgenabled), ',' order by oid)))
   from pg_trigger
   where tgrelid = ${table}::oid and not tgisinternal)`

/** Returns SQL for the fingerprint of the table of entries. */
export function fingerprintIn(schema: string): string {
  return fingerprintOf(entriesIn(schema))
}
