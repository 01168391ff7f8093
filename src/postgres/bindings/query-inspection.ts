import pg from 'pg'
import { KeyPattern } from '../../core/bindings/key-pattern.js'
import { quoteIdentifier } from '../schema/schema-owner.js'
import type { Query } from '../schema/table-inspection.js'
import type { BoundQuery } from './bound-source.js'
import type { KeyType } from './column-value.js'
import { type QueryShape, queryFaultOf } from './query-fault.js'
import {
  fingerprintsOf,
  hasOtherColumns,
  missingTriggersOf,
  tableNamed,
  treeOf,
  unwatchedPartitionsOf,
} from './relation-inspection.js'

interface InspectedQuery extends QueryShape {
  readonly key_types: readonly KeyType[]
  readonly is_many: boolean
  readonly ttl_ms: number | null
  readonly fingerprint: string
}

/** Inspects the queries of all bindings, and the tables on which they depend. */
export async function inspectQueries(query: Query, schema: string): Promise<readonly BoundQuery[]> {
  return (await query<InspectedQuery>(inspectionIn(schema))).map(boundQueryOf)
}

function boundQueryOf(row: InspectedQuery): BoundQuery {
  const pattern = new KeyPattern(row.pattern)
  const names = pattern.pieces.flatMap(({ column }) => column ?? [])
  const fault = queryFaultOf(row)
  return {
    pattern,
    query: row.query ?? undefined,
    keyColumns: names.map((name, index) => ({ name, type: row.key_types[index] as KeyType })),
    viaOutbox: true,
    isMany: row.is_many,
    ttlMs: row.ttl_ms ?? undefined,
    // Those of the query's columns are not known, nor those of what it formats as a text.
    columnTypes: ['record'],
    fault,
    fingerprint: `${row.fingerprint} ${fault?.says ?? ''}`,
  }
}

/** Everything that the query and its mappings read, with partitions. */
const tree = 'pg_catalog.unnest(used.relids) as tree (relid)'
/** The same without partitions. */
const roots = 'select pg_catalog.unnest(used.roots)'
/** The table of a dependency `d`, and its partitions. */
const partitions = `(${treeOf('select c.oid')}) as tree (relid)`
const announcer = "'cache_announce_' || left(md5(d.pattern), 12) || '_' || d.number"

/**
 * A query may read a column that the role may not read, through a view with other rights. So only what the query names
 * itself is looked at; pg_depend has its columns.
 */
function inspectionIn(schema: string): string {
  const inSchema = quoteIdentifier(schema)
  const dependencies = `${inSchema}.cache_dependencies as d
        left join pg_class as c on c.oid = d.bound::oid
        where d.pattern = q.pattern`
  return `
  select q.pattern, q.is_many, (extract(epoch from q.ttl) * 1000.0)::float8 as ttl_ms,
    array(
      select format_type(type::oid, null::integer)
      from pg_catalog.unnest(q.parameters) with ordinality as p (type, position) order by position
    ) as key_types,
    quote_ident(n.nspname::text) || '.'::text || quote_ident(f.proname::text) as query,
    not has_function_privilege(f.oid, 'execute') as is_closed,
    array(
      select d.table_name from ${dependencies} and c.oid is null order by 1
    ) as dropped_tables,
    array(
      select d.table_name from ${dependencies} and ${tableNamed('d.table_name')} <> c.oid order by 1
    ) as replaced_tables,
    array(
      select d.table_name || '.'::text || name
      from ${inSchema}.cache_dependencies as d cross join lateral pg_catalog.unnest(d.columns) as name
      where d.pattern = q.pattern and not exists (
        select from pg_attribute where attrelid = d.bound::oid and attname = name and not attisdropped
      ) order by 1
    ) as missing_columns,
    array(
      select d.table_name from ${dependencies} and (
        c.relkind = 'r' and exists (select from pg_inherits where inhrelid = c.oid or inhparent = c.oid)
        or exists (select from ${partitions} join pg_class as part on part.oid = relid where part.relkind = 'f')
      ) order by 1
    ) as related_tables,
    array(
      select d.table_name from ${dependencies} and ${hasOtherColumns('c', announcer, 'd.columns')} order by 1
    ) as renamed_tables,
    array(
      select d.table_name from ${dependencies} and (
        cardinality(${missingTriggersOf('c', announcer)}) > 0
        or cardinality(${unwatchedPartitionsOf('c', announcer, partitions)}) > 0
      ) order by 1
    ) as unwatched_tables,
    exists (
      select from ${inSchema}.cache_dependencies as d
      where d.pattern = q.pattern and d.is_mapped and not exists (
        select from pg_proc
        where oid = any(functions.oids) and proname = 'cache_map_' || left(md5(d.pattern), 12) || '_' || d.number
      )
    ) as lacks_mapping,
    array(
      select distinct quote_ident(nspname::text) || '.'::text || quote_ident(relname::text)
      from pg_catalog.unnest(functions.oids) as one (id)
        cross join lateral ${inSchema}.cache_reads(one.id) as read (relation)
        join pg_class on pg_class.oid = relation::oid join pg_namespace on pg_namespace.oid = relnamespace
      where not exists (
        select from ${inSchema}.cache_dependencies as d where d.pattern = q.pattern and d.bound::oid = relation::oid
      ) order by 1
    ) as unknown_tables,
    (select ${inSchema}.cache_forbidden_call(one.id, q.ttl is not null and one.id = f.oid)
     from pg_catalog.unnest(functions.oids) as one (id) order by 1 limit 1) as forbidden_call,
    array(
      select distinct quote_ident(nspname::text) || '.'::text || quote_ident(relname::text)
      from pg_depend join pg_class on pg_class.oid = refobjid join pg_namespace on pg_namespace.oid = relnamespace
      where classid = 'pg_proc'::regclass::oid and objid = f.oid and refclassid = 'pg_class'::regclass::oid
        and relkind <> 'i' and not case
          when refobjsubid > 0 then has_column_privilege(refobjid, refobjsubid::smallint, 'select')
          else has_table_privilege(refobjid, 'select') or has_any_column_privilege(refobjid, 'select') end
      order by 1
    ) as unreadable_tables,
    quote_ident(current_user::text) as role,
    md5(pg_catalog.concat_ws(' ', pg_catalog.concat(q.xmin, q::text),
      (select pg_catalog.string_agg(d::text, ',' order by number)
       from ${inSchema}.cache_dependencies as d where d.pattern = q.pattern),
      (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, xmin), ',' order by oid)
       from pg_proc where oid = any(functions.oids) or oid = any(used.functions)),
      (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, xmin), ',' order by oid)
       from pg_rewrite where ev_class in (${roots})),
      ${fingerprintsOf(tree, roots, 'select pg_catalog.unnest(used.types)')}
    )) as fingerprint
  from ${inSchema}.cache_bound_queries as q
    join pg_namespace as n on n.nspname = ${pg.escapeLiteral(schema)}
    left join pg_proc as f on f.pronamespace = n.oid and f.proname = 'cache_query_' || left(md5(q.pattern), 12)
    cross join lateral (
      select array(
        select oid from pg_proc
        where pronamespace = n.oid and (
          oid = f.oid or starts_with(proname::text, 'cache_map_' || left(md5(q.pattern), 12) || '_')
        )
      ) as oids offset 0
    ) as functions
    cross join lateral (
      with used (class, id) as materialized (
        select class, id from pg_catalog.unnest(functions.oids) as one (fn) cross join lateral ${inSchema}.cache_uses(one.fn)
      )
      select array(
        select id from used where class = 'pg_class'::regclass::oid
        union
        select d.bound::oid from ${inSchema}.cache_dependencies as d where d.pattern = q.pattern
      ) as roots,
      array(select id from used where class = 'pg_proc'::regclass::oid) as functions,
      array(select id from used where class = 'pg_type'::regclass::oid) as types
      offset 0
    ) as found
    cross join lateral (
      select found.roots, found.functions, found.types, array(${treeOf('select pg_catalog.unnest(found.roots)')}) as relids offset 0
    ) as used
  order by q.pattern`
}
