import pg from 'pg'
import { KeyPattern } from '../../core/bindings/key-pattern.js'
import { exactMs } from '../schema/exact-number.js'
import { quoteIdentifier } from '../schema/schema-owner.js'
import type { BoundQuery } from './bound-source.js'
import type { KeyType } from './column-value.js'
import { type QueryShape, queryFaultOf } from './query-fault.js'
import {
  fingerprintsOf,
  hasOtherColumns,
  missingTriggersOf,
  tableNamed,
  treeOf,
  triggersOf,
  typesOf,
  unwatchedPartitionsOf,
} from './relation-inspection.js'

/** A row of the statement of `queryInspectionIn`. */
export interface InspectedQuery extends QueryShape {
  readonly key_types: readonly KeyType[]
  readonly is_many: boolean
  readonly ttl_ms: number | null
  readonly fingerprint: string
}

export function boundQueryOf(row: InspectedQuery): BoundQuery {
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

/** Everything below one relation that a query or its mappings read. */
const tree = 'pg_catalog.unnest(below.relids) as tree (relid)'
/** The table of a dependency `d`, and its partitions. */
const partitions = `(${treeOf('select d.relid')}) as tree (relid)`

/**
 * Returns a statement that inspects the queries of some bindings, and the tables on which they depend.
 *
 * Many queries read the same tables. So whatever can be said of one relation, one dependency or one function is found
 * out first, once for each, and then gathered for each query. To ask for each query separately would read the triggers
 * of all bindings of a table once for each of them.
 *
 * A query may read a column that the role may not read, through a view with other rights. So only what the query names
 * itself is looked at; pg_depend has its columns.
 *
 * @param patterns SQL for an array of the bindings to inspect
 */
export function queryInspectionIn(schema: string, patterns: string): string {
  const inSchema = quoteIdentifier(schema)
  return `
  with bound as materialized (
    select q.*, q.xmin as written_by, q::text as whole, f.oid as fn, quote_ident(n.nspname::text) as in_schema, f.proname
    from ${inSchema}.cache_bound_queries as q
      join pg_namespace as n on n.nspname = ${pg.escapeLiteral(schema)}
      left join pg_proc as f on f.pronamespace = n.oid and f.proname = 'cache_query_' || left(md5(q.pattern), 12)
    where q.pattern = any(${patterns})
  ), dependency as materialized (
    select d.*, d::text as whole, d.bound::oid as relid,
      'cache_announce_' || left(md5(d.pattern), 12) || '_' || d.number as announcer,
      case when d.is_mapped then (
        select f.oid from pg_proc as f
        where f.pronamespace = (select oid from pg_namespace where nspname = ${pg.escapeLiteral(schema)})
          and f.proname = 'cache_map_' || left(md5(d.pattern), 12) || '_' || d.number
        limit 1
      ) end as mapping
    from ${inSchema}.cache_dependencies as d
    where d.pattern = any(${patterns})
  ), checked as materialized (
    select d.*, c.oid is null as is_dropped, ${tableNamed('d.table_name')} <> c.oid as is_replaced,
      array(
        select name from pg_catalog.unnest(d.columns) as name
        where not exists (select from pg_attribute where attrelid = d.relid and attname = name and not attisdropped)
      ) as missing_columns,
      c.relkind = 'r' and exists (select from pg_inherits where inhrelid = c.oid or inhparent = c.oid)
        or c.relkind = 'p' and exists (
          select from ${partitions} join pg_class as part on part.oid = relid where part.relkind = 'f'
        ) as is_related,
      ${hasOtherColumns('c', 'd.announcer', 'd.columns')} as is_renamed,
      cardinality(${missingTriggersOf('c', 'd.announcer', "'outbox'")}) > 0
        or cardinality(${unwatchedPartitionsOf('c', 'd.announcer', partitions)}) > 0 as is_unwatched,
      ${triggersOf(partitions, 'd.announcer')} as triggers
    from dependency as d left join pg_class as c on c.oid = d.relid
  ), own as materialized (
    select pattern, fn, ttl is not null as has_ttl from bound where fn is not null
    union all
    select pattern, mapping, false from dependency where mapping is not null
  ), used as materialized (
    select own.pattern, own.has_ttl, uses.class, uses.id
    from own cross join lateral ${inSchema}.cache_uses(own.fn) as uses
  ), forbidden as materialized (
    select its.*
    from (
      select array_agg(class) as classes, array_agg(id) as ids
      from (select distinct class, id from used where class in (0::oid, 'pg_proc'::regclass::oid)) as one
    ) as calls cross join lateral ${inSchema}.cache_forbidden_uses(classes, ids) as its
  ), root as materialized (
    select pattern, id as relid, true as is_used from used where class = 'pg_class'::regclass::oid
    union
    select pattern, relid, false from dependency
  ), relation as materialized (
    select one.relid, quote_ident(n.nspname::text) || '.'::text || quote_ident(c.relname::text) as name, c.relkind,
      md5(pg_catalog.concat_ws(' ', one.relid,
        (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, xmin), ',' order by oid)
         from pg_rewrite where ev_class = one.relid),
        ${fingerprintsOf(tree, 'one.relid')}
      )) as fingerprint
    from (select distinct relid from root) as one
      left join pg_class as c on c.oid = one.relid left join pg_namespace as n on n.oid = c.relnamespace
      cross join lateral (select array(${treeOf('select one.relid')}) as relids offset 0) as below
  )
  select q.pattern, q.is_many, ${exactMs('q.ttl')} as ttl_ms,
    array(
      select format_type(type::oid, null::integer)
      from pg_catalog.unnest(q.parameters) with ordinality as p (type, position) order by position
    ) as key_types,
    q.in_schema || '.'::text || quote_ident(q.proname::text) as query,
    not has_function_privilege(q.fn, 'execute') as is_closed,
    array(select table_name from checked where pattern = q.pattern and is_dropped order by 1) as dropped_tables,
    array(select table_name from checked where pattern = q.pattern and is_replaced order by 1) as replaced_tables,
    array(
      select table_name || '.'::text || name from checked cross join lateral pg_catalog.unnest(missing_columns) as name
      where pattern = q.pattern order by 1
    ) as missing_columns,
    array(select table_name from checked where pattern = q.pattern and is_related order by 1) as related_tables,
    array(select table_name from checked where pattern = q.pattern and is_renamed order by 1) as renamed_tables,
    array(select table_name from checked where pattern = q.pattern and is_unwatched order by 1) as unwatched_tables,
    exists (
      select from dependency where pattern = q.pattern and is_mapped and mapping is null
    ) as lacks_mapping,
    array(
      select distinct name from root join relation on relation.relid = root.relid
      where pattern = q.pattern and is_used and relkind <> 'v' and not exists (
        select from dependency as d where d.pattern = q.pattern and d.relid = root.relid
      ) order by 1
    ) as unknown_tables,
    (select forbidden.reason
     from used join forbidden on forbidden.class = used.class and forbidden.id = used.id
     where used.pattern = q.pattern and not (used.has_ttl and forbidden.is_excused_by_ttl)
     order by 1 limit 1) as forbidden_call,
    array(
      select distinct quote_ident(nspname::text) || '.'::text || quote_ident(relname::text)
      from pg_depend join pg_class on pg_class.oid = refobjid join pg_namespace on pg_namespace.oid = relnamespace
      where classid = 'pg_proc'::regclass::oid and objid = q.fn and refclassid = 'pg_class'::regclass::oid
        and relkind <> 'i' and not case
          when refobjsubid > 0 then has_column_privilege(refobjid, refobjsubid::smallint, 'select')
          else has_table_privilege(refobjid, 'select') or has_any_column_privilege(refobjid, 'select') end
      order by 1
    ) as unreadable_tables,
    quote_ident(current_user::text) as role,
    md5(pg_catalog.concat_ws(' ', pg_catalog.concat(q.written_by, q.whole),
      (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', whole, triggers), ',' order by number)
       from checked where pattern = q.pattern),
      (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, xmin), ',' order by oid) from pg_proc
       where oid = any(array(
         select fn from own where pattern = q.pattern
         union
         select id from used where pattern = q.pattern and class = 'pg_proc'::regclass::oid
       ))),
      (select pg_catalog.string_agg(fingerprint, ',' order by relation.relid)
       from relation where relid in (select relid from root where pattern = q.pattern)),
      case when exists (select from used where pattern = q.pattern and class = 'pg_type'::regclass::oid) then
        ${typesOf("select id from used where pattern = q.pattern and class = 'pg_type'::regclass::oid")}
      end
    )) as fingerprint
  from bound as q
  order by q.pattern`
}
