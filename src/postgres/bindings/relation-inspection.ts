/** Parts of the statements that inspect what bindings read. */

/** Triggers of a table by the end of their names, with the state that each must have. */
const triggers = {
  r: { truncated: 'A', inserted: 'A', updated: 'A', moved: 'A', deleted: 'A', row: 'R' },
  p: { truncated: 'A', row: 'A' },
} as const

const wantedTriggers = Object.entries(triggers)
  .flatMap(([kind, ends]) =>
    Object.entries(ends).map(([end, state]) => `('${kind}'::"char", '${end}', '${state}'::"char")`),
  )
  .join(', ')

/**
 * Returns SQL for the ends of the names of triggers that a table lacks.
 *
 * @param table alias of its row in pg_class
 * @param announcer SQL for the beginning of the names, without the last underscore
 */
export function missingTriggersOf(table: string, announcer: string): string {
  return `array(
      select wanted.ending from (values ${wantedTriggers}) as wanted (kind, ending, state)
      where wanted.kind = ${table}.relkind and not exists (
        select from pg_trigger
        where tgrelid = ${table}.oid and tgenabled = wanted.state and tgname = ${announcer} || '_' || wanted.ending
      )
    )`
}

/**
 * Returns SQL for the names of partitions whose changes are not announced.
 *
 * @param tree the table and its partitions, as an item of FROM with the column `relid`
 */
export function unwatchedPartitionsOf(table: string, announcer: string, tree: string): string {
  return `array(
      select relid::regclass::text from ${tree}
      where ${table}.relkind = 'p' and not exists (
        select from pg_trigger where tgrelid = relid and tgenabled = 'A' and tgname = ${announcer} || '_row'
      )
    )`
}

/**
 * Returns SQL for a list of texts, which change with everything of relations that can change answers without a change of
 * rows: columns, types, partitions and their files, policies, rights and triggers.
 *
 * @param tree relations and their partitions, as an item of FROM with the column `relid`
 * @param roots oids of the relations without partitions, as a list or a query
 */
export function fingerprintsOf(tree: string, roots: string): string {
  return `(select pg_catalog.string_agg(pg_catalog.concat_ws(' ', part.oid, pg_relation_filenode(part.oid), relrowsecurity,
         relforcerowsecurity, relacl, case when relkind = 'v' then pg_catalog.concat(relowner, reloptions) end),
         ',' order by part.oid)
       from ${tree} join pg_class as part on part.oid = relid),
      (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', attrelid, attnum, attname, atttypid, atttypmod, attacl),
         ',' order by attrelid, attnum)
       from pg_attribute
       where attnum > 0 and not attisdropped and (attrelid in (${roots}) or attrelid in (
         select typrelid from pg_attribute as own join pg_type on pg_type.oid = own.atttypid
         where own.attrelid in (${roots}) and typrelid <> 0
       ))),
      (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', pg_enum.oid, enumlabel), ',' order by pg_enum.oid)
       from pg_enum
       where enumtypid in (
         select pg_catalog.unnest(array[pg_type.oid, typelem])
         from pg_attribute join pg_type on pg_type.oid = atttypid where attrelid in (${roots})
       )),
      (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, xmin), ',' order by oid)
       from pg_policy where polrelid in (${roots})),
      (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, xmin, tgenabled), ',' order by oid)
       from pg_trigger where tgrelid in (select relid from ${tree}))`
}
