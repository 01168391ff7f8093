/** Parts of the statements that inspect what bindings read. */

/** Triggers that every table has by the end of their names, with the state that each must have. */
const ofAll = { truncated: 'A', columns: 'D' }
/** The other ones, by the way to announce changes and the kind of the table. */
const triggers = [
  { announce: 'outbox', kind: 'r', ends: { ...ofAll, row: 'A' } },
  { announce: 'outbox', kind: 'p', ends: { ...ofAll, row: 'A' } },
  { announce: 'notify', kind: 'r', ends: { ...ofAll, row: 'R', inserted: 'A', updated: 'A', deleted: 'A' } },
  { announce: 'notify', kind: 'p', ends: { ...ofAll, row: 'A' } },
]

const wantedTriggers = triggers
  .flatMap(({ announce, kind, ends }) =>
    Object.entries(ends).map(
      ([end, state]) => `('${announce}', '${kind}'::"char", '${end}', '${state}'::"char")`,
    ),
  )
  .join(', ')

/**
 * Returns SQL for the ends of the names of triggers that a table lacks.
 *
 * @param table alias of its row in pg_class
 * @param announcer SQL for the beginning of the names, without the last underscore
 * @param announce SQL for the way to announce changes: 'outbox' or 'notify'
 */
export function missingTriggersOf(table: string, announcer: string, announce: string): string {
  return `array(
      select wanted.ending from (values ${wantedTriggers}) as wanted (announce, kind, ending, state)
      where wanted.announce = ${announce} and wanted.kind = ${table}.relkind and not exists (
        select from pg_trigger
        where tgrelid = ${table}.oid and tgenabled = wanted.state and tgname = ${announcer} || '_' || wanted.ending
      )
    )`
}

/**
 * Returns SQL for a query of a relation and everything below it. Unlike pg_partition_tree(), it takes no locks: one that
 * somebody holds on a single partition must not delay the inspection of everything else.
 *
 * @param roots query of oids
 */
export function treeOf(roots: string): string {
  return `with recursive part (relid) as (
      ${roots} union select inhrelid from pg_inherits join part on inhparent = part.relid
    ) select relid from part`
}

/**
 * Returns SQL for the oid of the table that now has a name; null if none has. Unlike to_regclass(), it is no error if
 * the role may not use the schema.
 *
 * @param name SQL for the name with its schema, quoted where necessary
 */
export function tableNamed(name: string): string {
  return `(select named.oid from pg_catalog.parse_ident(${name}) as parts
        join pg_namespace as its_schema on its_schema.nspname = parts[1]
        join pg_class as named on named.relnamespace = its_schema.oid and named.relname = parts[2])`
}

/**
 * Returns SQL that is true if columns of a table are not those whose changes its triggers notice. The condition of a
 * trigger stays with a column that is renamed, and everything else finds columns by their names. The numbers of the
 * columns are compared as texts, because an operator for arrays of them could be one that somebody else has created.
 *
 * @param table alias of its row in pg_class
 * @param announcer SQL for the beginning of the names of the triggers, without the last underscore
 * @param columns SQL for the names of the columns
 */
export function hasOtherColumns(table: string, announcer: string, columns: string): string {
  return `array(
      select distinct refobjsubid from pg_depend
      where classid = 'pg_trigger'::regclass::oid
        and objid = (select oid from pg_trigger where tgrelid = ${table}.oid and tgname = ${announcer} || '_columns')
        and refclassid = 'pg_class'::regclass::oid and refobjid = ${table}.oid and refobjsubid > 0
      order by 1
    )::text <> array(
      select attnum::integer from pg_attribute
      where attrelid = ${table}.oid and attname = any(${columns}) and not attisdropped
      order by 1
    )::text`
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
 * Returns SQL for a list of texts, which change with everything of a relation that can change answers without a change of
 * rows: columns, types, partitions and their files, policies and rights.
 *
 * A transaction can rename columns, or attach the table to a parent, and undo that before it commits. What it has
 * changed meanwhile may have been announced under other keys, or not at all. The columns are then as they were before, but
 * the catalogue has new rows for them, with the xmin of that transaction.
 *
 * @param tree the relation and its partitions, as an item of FROM with the column `relid`
 * @param root SQL for the oid of the relation
 */
export function fingerprintsOf(tree: string, root: string): string {
  return `(select pg_catalog.string_agg(pg_catalog.concat_ws(' ', part.oid, pg_relation_filenode(part.oid), relrowsecurity,
         relforcerowsecurity, relacl, case when relkind = 'v' then pg_catalog.concat(relowner, reloptions) end),
         ',' order by part.oid)
       from ${tree} join pg_class as part on part.oid = relid),
      (select pg_catalog.string_agg(
         pg_catalog.concat_ws(' ', attrelid, attnum, attname, atttypid, atttypmod, attacl, xmin),
         ',' order by attrelid, attnum)
       from pg_attribute where attnum > 0 and not attisdropped and attrelid = ${root}),
      (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, xmin), ',' order by oid)
       from pg_attrdef where adrelid = ${root}),
      ${typesOf(`select atttypid from pg_attribute where attnum > 0 and not attisdropped and attrelid = ${root}`)},
      ${roleOf()},
      (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, xmin), ',' order by oid)
       from pg_policy where polrelid = ${root})`
}

/**
 * Returns SQL for a text that changes with the triggers of a binding. Those of other bindings of the table, and of the
 * application, change no answer and no announcement.
 *
 * @param tree the table and its partitions, as an item of FROM with the column `relid`
 * @param announcer SQL for the beginning of the names, without the last underscore
 */
export function triggersOf(tree: string, announcer: string): string {
  const ends = new Set(triggers.flatMap((one) => Object.keys(one.ends)))
  const names = [...ends].map((end) => `${announcer} || '_${end}'`)
  return `(select pg_catalog.string_agg(pg_catalog.concat_ws(' ', pg_trigger.oid, pg_trigger.xmin, tgenabled),
         ',' order by pg_trigger.oid)
       from ${tree} join pg_trigger on tgrelid = relid and tgname = any(array[${names.join(', ')}]))`
}

/**
 * Returns SQL for a text that changes with what decides which policies apply to the role of the session: its own rights,
 * and the roles whose rights it has. A superuser has those of every role, and no policy applies to it.
 */
function roleOf(): string {
  return `(select pg_catalog.string_agg(pg_catalog.concat_ws(' ', other.oid, me.rolsuper, me.rolbypassrls),
         ',' order by other.oid)
       from pg_roles as me
         join pg_roles as other on other.oid = me.oid or not me.rolsuper and pg_has_role(other.oid, 'usage')
       where me.rolname = current_user)`
}

/**
 * Returns SQL for a text that changes with some types, and with everything that these consist of: labels of enums,
 * attributes, elements, domains and casts, at any depth.
 *
 * @param types query of their oids
 */
export function typesOf(types: string): string {
  return `(with recursive types (id) as (
         (${types})
         union
         select found.id
         from types join pg_type on pg_type.oid = types.id cross join lateral (
           select pg_catalog.unnest(array[typelem, typbasetype])
           union all select rngsubtype from pg_range where rngtypid = pg_type.oid
           union all select atttypid from pg_attribute where attrelid = typrelid and attnum > 0 and not attisdropped
         ) as found (id)
         where found.id <> 0
       )
       select pg_catalog.concat_ws(' ',
         (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', pg_enum.oid, enumlabel), ',' order by pg_enum.oid)
          from pg_enum where enumtypid in (select id from types)),
         (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', attrelid, attnum, attname, atttypid, atttypmod),
            ',' order by attrelid, attnum)
          from pg_attribute join pg_type on typrelid = attrelid join types on types.id = pg_type.oid
          where attnum > 0 and not attisdropped),
         (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, xmin), ',' order by oid)
          from pg_cast where castsource in (select id from types))
       ))`
}
