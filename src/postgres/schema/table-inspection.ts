import { entryColumns } from './entry-columns.js'
import { exactNumber } from './exact-number.js'
import { isForeignToSuperuser } from './schema-owner.js'
import { migrateFirst, movedFault, movedFrom, TableFault } from './table-fault.js'
import { fingerprintOf } from './table-identity.js'
import { faultOf, type TableShape } from './table-shape.js'
import { wantedTriggers } from './table-triggers.js'

/** Sends SQL without parameters, and resolves to the rows. */
export type Query = <Row>(sql: string) => Promise<readonly Row[]>

/** Table of entries, as a session found it, with the channel of its changes. */
export interface CacheTable {
  readonly schema: string
  /** Channel on which changes of the table are announced. */
  readonly channel: string
  /** Usage of the server's notification queue, from 0 to 1. When the queue is full, no write can commit. */
  readonly queueUsage: number
  /** See `Proof`. */
  readonly fingerprint: string
}

/**
 * Finds the table by the session's search path, or by a qualified `name`, and checks everything that the cache needs of
 * it. Rejects with a TableFault if something is wrong.
 */
export async function inspectTable(query: Query, name = 'cache_entries'): Promise<CacheTable> {
  const [row] = await query<TableShape>(inspection(name))
  if (row === undefined) throw await notFound(query, name)
  const { schema, channel, queue_usage: queueUsage, fingerprint } = row
  const fault = faultOf(row)
  if (fault !== undefined) throw fault
  return { schema, channel, queueUsage, fingerprint }
}

/** SQL for names and types of the columns that migrations add. */
const addedColumns = [...entryColumns]
  .flatMap(([name, { added }]) => (added === undefined ? [] : `('${name}', '${added}'::regtype::oid)`))
  .join(', ')

const inspection = (name: string) => `
  select nspname::text as schema, relkind as kind,
         ${exactNumber('pg_notification_queue_usage()::numeric')} as queue_usage,
         'caching_layer_' || left(md5(nspname::text || '.' || relname::text), 16) as channel,
         (select format_type(atttypid, null::integer) from pg_attribute
          where attrelid = c.oid and attname = 'key') as key_type,
         (select collisdeterministic from pg_attribute join pg_collation on pg_collation.oid = attcollation
          where attrelid = c.oid and attname = 'key') as key_is_exact,
         (select format_type(atttypid, null::integer) from pg_attribute
          where attrelid = c.oid and attname = 'value') as value_type,
         array(
           select wanted || ' ' || format_type(atttypid, null::integer)
           from (values ${addedColumns}) as columns (wanted, type)
             join pg_attribute on attname = wanted and attrelid = c.oid
           where atttypid <> type
         ) as odd_columns,
         case when ${isForeignToSuperuser('relowner')} then pg_get_userbyid(relowner)::text end as foreign_owner,
         exists (
           select from pg_index
           where indrelid = c.oid and indisunique and indisvalid and indimmediate and indpred is null
             and indexprs is null and indnkeyatts = 1::smallint
             and indkey[0] = (select attnum from pg_attribute where attrelid = c.oid and attname = 'key')
             and (select collisdeterministic from pg_collation where pg_collation.oid = indcollation[0])
         ) as has_unique_key,
         array(
           select case when child.relispartition
             then pg_catalog.format('alter table %s detach partition %s', inhparent::regclass, inhrelid::regclass)
             else pg_catalog.format('alter table %s no inherit %s', inhrelid::regclass, inhparent::regclass)
           end
           from pg_inherits join pg_class as child on child.oid = inhrelid
           where inhrelid = c.oid or inhparent = c.oid
         ) as untying,
         array(
           select wanted from pg_catalog.unnest('{${[...entryColumns.keys()].join(',')}}'::text[]) as wanted
           where not exists (
             select from pg_attribute where attrelid = c.oid and attname = wanted and not attisdropped
           )
         ) as lacks,
         array(
           select name from (values ${wantedTriggers}) as wanted (name, enabled)
           where not exists (select from pg_trigger where tgrelid = c.oid and tgname = name)
         ) as missing,
         array(
           select name from (values ${wantedTriggers}) as wanted (name, enabled)
             join pg_trigger on tgrelid = c.oid and tgname = name
           where tgenabled <> enabled
         ) as disabled,
         array(
           select rulename::text from pg_rewrite
           where ev_class = c.oid and (ev_type in ('2', '3') or ev_type = '4' and is_instead)
         ) as rules,
         exists (
           select from pg_attribute where attrelid = c.oid and attname = 'value' and not attnotnull
         ) as has_nullable_value,
         (select fn.nspname::text from pg_trigger
            join pg_proc on pg_proc.oid = tgfoid join pg_namespace as fn on fn.oid = pronamespace
          where tgrelid = c.oid and tgname = 'cache_entries_2_stamp') as functions_schema,
         exists (
           select from pg_proc where proname = 'cache_epoch_of' and pronamespace = n.oid
         ) and exists (
           select from pg_class where relname = 'cache_bound_tables' and relnamespace = n.oid
         ) as is_up_to_date,
         ${fingerprintOf('c.oid::regclass')} as fingerprint
  from pg_class as c join pg_namespace as n on n.oid = relnamespace
  where c.oid = to_regclass('${name.replaceAll("'", "''")}')::oid`

async function notFound(query: Query, name: string): Promise<TableFault> {
  if (name.includes('.')) return new TableFault(`there is no table ${name}`, migrateFirst)
  const [row] = await query<{ schema: string | null; path: string; moved: string | null }>(
    `select current_schema()::text as schema, current_setting('search_path') as path,
            (${movedFrom('current_schema()')}) as moved`,
  )
  if (row?.schema != null && row.moved !== null) return movedFault(row.schema, row.moved)
  if (row && row.schema === null)
    return new TableFault(
      `the search_path (${row.path}) names no schema that exists and that this role may use`,
      'grant usage on the schema, or set search_path for this role',
      'there is no schema that exists and that this role may use',
    )
  return new TableFault(`there is no table cache_entries in the search_path (${row?.path})`, migrateFirst)
}
