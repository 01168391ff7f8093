import { KeyPattern } from '../../core/bindings/key-pattern.js'
import { quoteIdentifier } from '../schema/schema-owner.js'
import type { Query } from '../schema/table-inspection.js'
import { type BindingShape, faultOf } from './binding-fault.js'
import type { BoundTable } from './bound-table.js'
import type { KeyType } from './column-value.js'

/** All bindings, with the digest of their definitions that a probe returns. */
export interface FoundBindings {
  readonly digest: string
  readonly tables: readonly BoundTable[]
}

/** Returns SQL for a digest of the definitions. It changes with any of them. */
export function bindingsDigestIn(schema: string): string {
  return `(select md5(coalesce(pg_catalog.string_agg(b::text, ','::text order by pattern), ''::text))
    from ${quoteIdentifier(schema)}.cache_bound_tables as b)`
}

/** Inspects the tables of all bindings. */
export async function inspectBindings(query: Query, schema: string): Promise<FoundBindings> {
  const rows = await query<InspectedRow>(inspectionIn(schema))
  const digest = rows[0]?.digest ?? ''
  return { digest, tables: rows.flatMap((row) => (row.pattern === null ? [] : [boundTableOf(row)])) }
}

/** A row for each binding, or one without a pattern if there is none. */
type InspectedRow = { readonly digest: string } & (
  | { readonly pattern: null }
  | (BindingShape & {
      readonly pattern: string
      readonly fingerprint: string
      readonly column_types: readonly string[]
    })
)

function boundTableOf(row: Exclude<InspectedRow, { readonly pattern: null }>): BoundTable {
  const { pattern, key_columns: names, key_types: types, columns } = row
  const fault = faultOf(row)
  return {
    pattern: new KeyPattern(pattern),
    table: row.table ?? undefined,
    keyColumns: names.map((name, index) => ({ name, type: types[index] as KeyType })),
    viaOutbox: row.announce === 'outbox',
    columns: columns ?? undefined,
    columnTypes: row.column_types,
    fault,
    fingerprint: `${row.fingerprint} ${fault?.says ?? ''}`,
  }
}

/** Triggers of a binding by the end of their names, with the state that each must have. */
const triggers = {
  r: { truncated: 'A', inserted: 'A', updated: 'A', deleted: 'A', row: 'R' },
  p: { truncated: 'A', row: 'A' },
} as const

const wantedTriggers = Object.entries(triggers)
  .flatMap(([kind, ends]) =>
    Object.entries(ends).map(([end, state]) => `('${kind}'::"char", '${end}', '${state}'::"char")`),
  )
  .join(', ')

/** The table and all its partitions. */
const tree = 'pg_catalog.unnest(relatives.relids) as tree (relid)'

/**
 * The fingerprint covers the table and its partitions. A partition is truncated or replaced without the triggers of its
 * parent, and then has another file.
 */
function inspectionIn(schema: string): string {
  const inSchema = quoteIdentifier(schema)
  return `
  select ${bindingsDigestIn(schema)} as digest, b.pattern, b.columns, b.group_name, b.announce, b.key_columns,
    b.table_name as bound_name, c.relkind as kind,
    quote_ident(n.nspname::text) || '.'::text || quote_ident(c.relname::text) as table,
    to_regclass(b.table_name)::oid <> b.bound::oid as is_replaced,
    array(
      select format_type(atttypid, null::integer)
      from pg_catalog.unnest(b.key_columns) with ordinality as k (name, position)
        left join pg_attribute on attrelid = c.oid and attname = k.name and not attisdropped
      order by position
    ) as key_types,
    array(
      select name from pg_catalog.unnest(b.columns) as name
      where not exists (select from pg_attribute where attrelid = c.oid and attname = name and not attisdropped)
    ) as missing_columns,
    array(
      select distinct case when typtype = 'e' then 'enum' else format_type(atttypid, null::integer) end
      from pg_attribute join pg_type on pg_type.oid = atttypid
      where attrelid = c.oid and attnum > 0 and not attisdropped
        and (b.columns is null or attname = any(b.columns))
    ) as column_types,
    exists (
      select from pg_index
      where indrelid = c.oid and indisunique and indisvalid and indimmediate and indpred is null and indexprs is null
        and not exists (
          select from pg_catalog.unnest((indkey::smallint[])[0:indnkeyatts - 1]) as number
            left join pg_attribute on attrelid = indrelid and attnum = number
          where attname is null or attname <> all(b.key_columns)
        )
    ) as has_unique_index,
    c.relkind = 'r' and exists (select from pg_inherits where inhrelid = c.oid or inhparent = c.oid) as has_relatives,
    exists (
      select from ${tree} join pg_class as part on part.oid = relid where relkind = 'f'
    ) as has_foreign_partitions,
    array(
      select wanted.ending from (values ${wantedTriggers}) as wanted (kind, ending, state)
      where wanted.kind = c.relkind and not exists (
        select from pg_trigger
        where tgrelid = c.oid and tgenabled = wanted.state
          and tgname = 'cache_announce_' || left(md5(b.pattern), 12) || '_' || wanted.ending
      )
    ) as missing_triggers,
    array(
      select relid::regclass::text from ${tree}
      where c.relkind = 'p' and not exists (
        select from pg_trigger
        where tgrelid = relid and tgenabled = 'A'
          and tgname = 'cache_announce_' || left(md5(b.pattern), 12) || '_row'
      )
    ) as unwatched_partitions,
    case when not has_schema_privilege(n.oid, 'usage') then quote_ident(n.nspname::text) end as closed_schema,
    not exists (
      select from pg_attribute
      where attrelid = c.oid and attnum > 0 and not attisdropped
        and (b.columns is null or attname = any(b.columns) or attname = any(b.key_columns))
        and not has_column_privilege(c.oid, attnum, 'select')
    ) as may_read,
    quote_ident(current_user::text) as role,
    md5(pg_catalog.concat_ws(' ', c.oid, b::text, current_user,
      (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', part.oid, pg_relation_filenode(part.oid), relrowsecurity,
         relforcerowsecurity, relacl), ',' order by part.oid)
       from ${tree} join pg_class as part on part.oid = relid),
      (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', attrelid, attnum, attname, atttypid, atttypmod, attacl),
         ',' order by attrelid, attnum)
       from pg_attribute
       where attnum > 0 and not attisdropped and (attrelid = c.oid or attrelid in (
         select typrelid from pg_attribute as own join pg_type on pg_type.oid = own.atttypid
         where own.attrelid = c.oid and typrelid <> 0
       ))),
      (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', pg_enum.oid, enumlabel), ',' order by pg_enum.oid)
       from pg_enum
       where enumtypid in (
         select pg_catalog.unnest(array[pg_type.oid, typelem])
         from pg_attribute join pg_type on pg_type.oid = atttypid where attrelid = c.oid
       )),
      (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, xmin), ',' order by oid)
       from pg_policy where polrelid = c.oid),
      (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, xmin, tgenabled), ',' order by oid)
       from pg_trigger where tgrelid in (select relid from ${tree}))
    )) as fingerprint
  from (select) as always
    left join ${inSchema}.cache_bound_tables as b on true
    left join pg_class as c on c.oid = b.bound::oid
    left join pg_namespace as n on n.oid = c.relnamespace
    left join lateral (
      select array(
        select c.oid union select relid::oid from pg_partition_tree(c.oid::regclass) where c.relkind = 'p'
      ) as relids
    ) as relatives on true
  order by b.pattern`
}
