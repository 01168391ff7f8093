import pg from 'pg'
import { KeyPattern } from '../../core/bindings/key-pattern.js'
import { quoteIdentifier } from '../schema/schema-owner.js'
import type { Query } from '../schema/table-inspection.js'
import { type BindingShape, faultOf } from './binding-fault.js'
import type { BoundSource, BoundTable } from './bound-source.js'
import type { KeyType } from './column-value.js'
import { boundQueryOf, queryInspectionIn } from './query-inspection.js'
import {
  fingerprintsOf,
  hasOtherColumns,
  missingTriggersOf,
  tableNamed,
  treeOf,
  triggersOf,
  unwatchedPartitionsOf,
} from './relation-inspection.js'

/** All bindings, with the digest of their definitions that a probe returns. */
export interface FoundBindings {
  readonly digest: string
  readonly sources: readonly BoundSource[]
}

/** Returns SQL for a digest of the definitions. It changes with any of them. */
export function bindingsDigestIn(schema: string): string {
  const inSchema = quoteIdentifier(schema)
  // One that is bound again with the same definition has another row. Nobody has announced the changes in between, and
  // a query may read another view.
  return `md5(pg_catalog.concat(
    (select pg_catalog.string_agg(pg_catalog.concat(b.xmin, b::text), ','::text order by pattern)
     from ${inSchema}.cache_bound_tables as b), ' ',
    (select pg_catalog.string_agg(pg_catalog.concat(q.xmin, q::text), ','::text order by pattern)
     from ${inSchema}.cache_bound_queries as q), ' ',
    (select pg_catalog.string_agg(d::text, ','::text order by pattern, number)
     from ${inSchema}.cache_dependencies as d)
  ))`
}

/** Number of bindings that one statement inspects. Whoever waits for the session waits for one statement at most. */
const partSize = 10

/**
 * Inspects the tables and queries of all bindings, in parts: a statement takes no longer if there are more bindings.
 *
 * Bindings may change in between. Then some parts are newer than the digest, which is that of the first statement. The
 * next probe returns another one, even if the bindings have changed back.
 *
 * `jit` must be off: the planner takes the inspection for so expensive that PostgreSQL would compile it, which takes a
 * hundred times as long as to run it.
 */
export async function inspectBindings(query: Query, schema: string): Promise<FoundBindings> {
  const inSchema = quoteIdentifier(schema)
  const [row] = await query<ListRow>(`select ${bindingsDigestIn(schema)} as digest,
    array(select pattern from ${inSchema}.cache_bound_tables order by pattern) as tables,
    array(select pattern from ${inSchema}.cache_bound_queries order by pattern) as queries`)
  const { digest, tables, queries } = row as ListRow
  const sources: BoundSource[] = []
  const inspectAll = async <Row extends object>(
    patterns: readonly string[],
    statement: (schema: string, patterns: string) => string,
    sourceOf: (row: Row) => BoundSource,
  ) => {
    for (let first = 0; first < patterns.length; first += partSize) {
      const part = patterns.slice(first, first + partSize)
      const names = `array[${part.map((name) => pg.escapeLiteral(name)).join(', ')}]`
      const rows = await query<Row>(statement(schema, names))
      sources.push(...rows.map(sourceOf))
    }
  }
  await inspectAll(tables, inspectionIn, boundTableOf)
  await inspectAll(queries, queryInspectionIn, boundQueryOf)
  return { digest, sources }
}

interface ListRow {
  readonly digest: string
  /** Patterns of the bindings. */
  readonly tables: readonly string[]
  readonly queries: readonly string[]
}

interface InspectedTable extends BindingShape {
  readonly fingerprint: string
  readonly column_types: readonly string[]
}

function boundTableOf(row: InspectedTable): BoundTable {
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

/** Name of the function that announces changes of the table, and the beginning of the names of its triggers. */
const announcer = "'cache_announce_' || left(md5(b.pattern), 12)"

/** The table and all its partitions. */
const tree = 'pg_catalog.unnest(relatives.relids) as tree (relid)'

/**
 * The fingerprint covers the table and its partitions. A partition is truncated or replaced without the triggers of its
 * parent, and then has another file.
 */
function inspectionIn(schema: string, patterns: string): string {
  const inSchema = quoteIdentifier(schema)
  return `
  select b.pattern, b.columns, b.group_name, b.announce, b.key_columns,
    b.table_name as bound_name, c.relkind as kind,
    quote_ident(n.nspname::text) || '.'::text || quote_ident(c.relname::text) as table,
    ${tableNamed('b.table_name')} <> b.bound::oid as is_replaced,
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
        and not exists (
          select from rows from (
              pg_catalog.unnest((indkey::smallint[])[0:indnkeyatts - 1]), pg_catalog.unnest(indcollation::oid[])
            ) as part (number, collation_id)
            join pg_attribute on attrelid = indrelid and attnum = part.number
          where collation_id <> attcollation
        )
    ) as has_unique_index,
    c.relkind = 'r' and exists (select from pg_inherits where inhrelid = c.oid or inhparent = c.oid) as has_relatives,
    exists (
      select from ${tree} join pg_class as part on part.oid = relid where relkind = 'f'
    ) as has_foreign_partitions,
    ${hasOtherColumns('c', announcer, 'b.key_columns')} as has_other_columns,
    ${missingTriggersOf('c', announcer, 'b.announce')} as missing_triggers,
    ${unwatchedPartitionsOf('c', announcer, tree)} as unwatched_partitions,
    case when not has_schema_privilege(n.oid, 'usage') then quote_ident(n.nspname::text) end as closed_schema,
    not exists (
      select from pg_attribute
      where attrelid = c.oid and attnum > 0 and not attisdropped
        and (b.columns is null or attname = any(b.columns) or attname = any(b.key_columns))
        and not has_column_privilege(c.oid, attnum, 'select')
    ) as may_read,
    quote_ident(current_user::text) as role,
    md5(pg_catalog.concat_ws(' ', c.oid, b::text,
      ${fingerprintsOf(tree, 'c.oid')},
      ${triggersOf(tree, announcer)}
    )) as fingerprint
  from ${inSchema}.cache_bound_tables as b
    left join pg_class as c on c.oid = b.bound::oid
    left join pg_namespace as n on n.oid = c.relnamespace
    left join lateral (
      select array(${treeOf('select c.oid')}) as relids
    ) as relatives on true
  where b.pattern = any(${patterns})
  order by b.pattern`
}
