import type { Epoch } from '../../core/entry.js'
import { PublicError } from '../../core/errors.js'
import type { Proof } from '../../core/ports.js'
import { isForeignToSuperuser, quoteIdentifier } from './schema-owner.js'

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

/** Required state of each trigger, by name: `A` always enabled, `R` enabled in the replica role; see sql/. */
const triggers: Readonly<Record<string, 'A' | 'R'>> = {
  cache_entries_1_content_type: 'A',
  cache_entries_2_stamp: 'A',
  cache_entries_3_inserted: 'A',
  cache_entries_3_updated: 'A',
  cache_entries_3_deleted: 'A',
  cache_entries_3_truncated: 'A',
  cache_entries_4_replicated: 'R',
}

const wantedTriggers = Object.entries(triggers)
  .map(([name, enabled]) => `('${name}', '${enabled}'::"char")`)
  .join(', ')

interface TableRow {
  readonly schema: string
  readonly kind: string
  readonly channel: string
  readonly queue_usage: number
  readonly key_type: string | null
  readonly key_is_exact: boolean | null
  readonly has_unique_key: boolean
  readonly value_type: string | null
  /** Columns of ours that have another type than in sql/, as `name type`. */
  readonly odd_columns: readonly string[]
  /** Owner of the table, if the session's role is a superuser and the owner is not. */
  readonly foreign_owner: string | null
  /** Statements that separate the table from its parents and children by inheritance or partitioning. */
  readonly untying: readonly string[]
  readonly lacks: readonly string[]
  readonly has_nullable_value: boolean
  readonly rules: readonly string[]
  /** Triggers of ours that do not exist. */
  readonly missing: readonly string[]
  /** Triggers of ours that exist, but are not enabled as they must be. */
  readonly disabled: readonly string[]
  readonly functions_schema: string | null
  readonly has_identity: boolean
  readonly fingerprint: string
}

const kinds: Readonly<Record<string, string>> = {
  p: 'a partitioned table',
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
}

const columns = ['key', 'value', 'updated_at', 'version', 'content_type', 'expires_at']

const migrateFirst = 'run "caching-layer migrate"'

const unannounced = 'changes are not announced: a trigger is missing or not enabled'

function kindOf(cure: string): string {
  return cure === migrateFirst
    ? 'the table of entries is missing or not up to date'
    : 'the table of entries cannot be cached as it is'
}

/** Fault of the table. The message is one line with the fault and its cure, which `says` and `cure` have separately. */
export class TableFault extends PublicError {
  override readonly name = 'TableFault'
  readonly says: string
  readonly cure: string

  /** `kind` replaces `says` in the public reason, and names no object of the database. */
  constructor(says: string, cure: string, kind: string = kindOf(cure)) {
    super(
      `${says}: ${cure}`,
      `${kind}: ${cure === migrateFirst ? cure : 'see the log, and run "caching-layer doctor"'}`,
    )
    this.says = says
    this.cure = cure
  }
}

/**
 * Finds the table by the session's search path, or by a qualified `name`, and checks everything that the cache needs of
 * it. Rejects with a TableFault if something is wrong.
 */
export async function inspectTable(query: Query, name = 'cache_entries'): Promise<CacheTable> {
  const [row] = await query<TableRow>(inspection(name))
  if (row === undefined) throw await notFound(query, name)
  const { schema, channel, queue_usage: queueUsage, fingerprint } = row
  const fault = faultOf(row)
  if (fault !== undefined) throw fault
  return { schema, channel, queueUsage, fingerprint }
}

const inspection = (name: string) => `
  select nspname::text as schema, relkind as kind, pg_notification_queue_usage() as queue_usage,
         'caching_layer_' || left(md5(nspname::text || '.' || relname::text), 16) as channel,
         (select format_type(atttypid, null::integer) from pg_attribute
          where attrelid = c.oid and attname = 'key') as key_type,
         (select collisdeterministic from pg_attribute join pg_collation on pg_collation.oid = attcollation
          where attrelid = c.oid and attname = 'key') as key_is_exact,
         (select format_type(atttypid, null::integer) from pg_attribute
          where attrelid = c.oid and attname = 'value') as value_type,
         array(
           select wanted || ' ' || format_type(atttypid, null::integer)
           from (values ('version', 'bigint'), ('content_type', 'text'), ('expires_at', 'timestamp with time zone'))
             as columns (wanted, type)
             join pg_attribute on attname = wanted and attrelid = c.oid
           where format_type(atttypid, null::integer) <> type
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
           select wanted from pg_catalog.unnest('{${columns.join(',')}}'::text[]) as wanted
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
         ) as has_identity,
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

/** Returns SQL that finds another schema with a table `cache_entries` that runs the trigger functions of `schema`. */
export function movedFrom(schema: string): string {
  return `select tables.nspname::text as moved
    from pg_trigger join pg_class on pg_class.oid = tgrelid join pg_namespace as tables on tables.oid = relnamespace
      join pg_proc on pg_proc.oid = tgfoid join pg_namespace as functions on functions.oid = pronamespace
    where tgname = 'cache_entries_2_stamp' and relname = 'cache_entries'
      and functions.nspname = ${schema} and tables.oid <> functions.oid
    limit 1`
}

export function movedFault(schema: string, moved: string): TableFault {
  const [from, to] = [quoteIdentifier(moved), quoteIdentifier(schema)]
  return new TableFault(
    `${schema}.cache_entries was moved to the schema ${moved}`,
    `run as the owner: alter table ${from}.cache_entries set schema ${to}`,
    'the table of entries was moved to another schema',
  )
}

function faultOf(row: TableRow): TableFault | undefined {
  const shape = shapeFault(row)
  if (shape !== undefined) return new TableFault(`${row.schema}.cache_entries ${shape[0]}`, shape[1])
  const { missing, disabled } = row
  if (missing.length > 0)
    return new TableFault(
      `changes are not announced: trigger ${missing.join(', ')} is missing`,
      migrateFirst,
      unannounced,
    )
  return disabled.length > 0 ? disabledFault(row) : undefined
}

/** Returns the first fault of the table's shape, and its cure; undefined if there is none. */
function shapeFault(row: TableRow): readonly [says: string, cure: string] | undefined {
  const { kind, lacks, missing } = row
  const alter = `run as the owner: alter table ${quoteIdentifier(row.schema)}.cache_entries`
  if (row.foreign_owner !== null)
    return [
      `belongs to role "${row.foreign_owner}", which is not a superuser as this one is`,
      'connect as another role',
    ]
  if (kind !== 'r')
    return [`is ${kinds[kind] ?? 'not a table'}, which cannot be cached`, 'it must be an ordinary table']
  if (row.untying.length > 0)
    return [
      'has parents or children by inheritance, whose changes would not be announced',
      `run as the owner: ${row.untying.join('; ')}`,
    ]
  if (lacks.length === columns.length - 3 || missing.length === Object.keys(triggers).length)
    return ['is not set up', migrateFirst]
  if (lacks.length > 0) return [`lacks the column ${lacks.join(', ')}`, cureOfColumns(row)]
  if (!/^(text|character varying(\(\d+\))?)$/.test(row.key_type ?? ''))
    return [`has a key of type ${row.key_type}`, `${alter} alter column key type text`]
  if (row.key_is_exact === false)
    return [
      'has a key whose collation takes different texts for equal',
      `${alter} alter column key type text collate "default"`,
    ]
  if (!row.has_unique_key)
    return [
      'has no unique index on key that a conflict can be found by',
      // Not a primary key: the table may have one on other columns.
      `run as the owner: create unique index on ${quoteIdentifier(row.schema)}.cache_entries (key)`,
    ]
  if (row.rules.length > 0)
    return [
      `has the rule ${row.rules.join(', ')}, with which it cannot be written`,
      `run as the owner: ${row.rules
        .map((rule) => `drop rule ${quoteIdentifier(rule)} on ${quoteIdentifier(row.schema)}.cache_entries`)
        .join('; ')}`,
    ]
  if (row.value_type !== 'text')
    return [`has a value of type ${row.value_type}`, `${alter} alter column value type text`]
  if (row.has_nullable_value)
    return ['has values that may be null', `${alter} alter column value set not null`]
  if (row.odd_columns.length > 0)
    return [
      `has columns of another type than in sql/: ${row.odd_columns.join(', ')}`,
      `${alter} ${row.odd_columns.map(cureOfType).join(', ')}`,
    ]
  if (row.functions_schema !== null && row.functions_schema !== row.schema)
    return [`was moved away from its functions, which are in ${row.functions_schema}`, migrateFirst]
  if (!row.has_identity) return ['is not up to date', migrateFirst]
  return undefined
}

/**
 * Returns the cure for missing columns. No migration creates the columns of the original service. Without its keys or
 * values, the rows are useless.
 */
function cureOfColumns({ schema, lacks }: TableRow): string {
  const definitions: Readonly<Record<string, string>> = {
    key: 'text primary key',
    value: 'text not null',
    updated_at: 'timestamp not null default now()',
  }
  if (!lacks.every((name) => name in definitions)) return migrateFirst
  const table = `${quoteIdentifier(schema)}.cache_entries`
  const isLost = lacks.some((name) => name !== 'updated_at')
  return (
    `${isLost ? 'restore the table from a backup, or begin with an empty one: ' : ''}run as the owner: ` +
    `${isLost ? `truncate ${table}; ` : ''}` +
    `alter table ${table} ${lacks.map((name) => `add column ${name} ${definitions[name]}`).join(', ')}`
  )
}

/**
 * Returns the clauses of `alter table` that change the type of a column. `odd` is its name and its type. The default is
 * dropped first, because it may not fit the new type.
 */
function cureOfType(odd: string): string {
  const [name = ''] = odd.split(' ')
  const type = { version: 'bigint', content_type: 'text', expires_at: 'timestamptz' }[name]
  const fallback = name === 'version' ? `, alter column version set default 0` : ''
  return `alter column ${name} drop default, alter column ${name} type ${type} using ${name}::${type}${fallback}`
}

function disabledFault({ schema, disabled }: TableRow): TableFault {
  const enabled = disabled.map(
    (name) => `enable ${triggers[name] === 'R' ? 'replica' : 'always'} trigger ${name}`,
  )
  return new TableFault(
    `changes are not announced: trigger ${disabled.join(', ')} is not enabled always`,
    `run as the owner: alter table ${quoteIdentifier(schema)}.cache_entries ${enabled.join(', ')}`,
    unannounced,
  )
}

/** Returns SQL for the epoch. */
export function epochIn(schema: string): string {
  return `${quoteIdentifier(schema)}.cache_epoch_of(${relationsIn(schema)})`
}

/**
 * Returns SQL that is true if the table has as many triggers as we create, so that rows are stored as they are sent.
 */
export function isPlainIn(schema: string): string {
  return `(select pg_catalog.count(*) = ${Object.keys(triggers).length}::bigint from pg_trigger
    where tgrelid = ${entriesIn(schema)}::oid and not tgisinternal)`
}

/** Returns SQL for the lineage of the table, which is stored with each mark. */
export function lineageIn(schema: string): string {
  return `${quoteIdentifier(schema)}.cache_lineage(${entriesIn(schema)})`
}

/** Returns SQL of type regclass for the table of entries. */
function entriesIn(schema: string): string {
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
 * Returns SQL for the fingerprint of the table. It changes when a trigger, rule or column is created, dropped, renamed,
 * enabled or disabled, or when the table's file is replaced.
 */
const fingerprintOf = (table: string) => `
  (select md5(pg_catalog.concat_ws(' ', pg_relation_filenode(${table}),
     (select pg_catalog.string_agg(ev_enabled::text || oid::text, ',' order by oid)
      from pg_rewrite where ev_class = ${table}::oid),
     (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', attnum, attname, atttypid), ',' order by attnum)
      from pg_attribute where attrelid = ${table}::oid and attnum > 0::smallint),
     pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, xmin, tgenabled), ',' order by oid)))
   from pg_trigger
   where tgrelid = ${table}::oid and not tgisinternal)`

/**
 * Fingerprint of the table's file, columns, rules and triggers, as SQL. It changes with anything that could change
 * values unseen.
 */
export function fingerprintIn(schema: string): string {
  return fingerprintOf(entriesIn(schema))
}

export interface ProofRow {
  readonly epoch: Epoch
  readonly latest: string
  readonly fingerprint: string
  readonly database_ms: number
}

/**
 * Returns the SQL of the probe, which returns one row: epoch, position, fingerprint of the table, and the database's
 * clock. Fails once the table has been renamed, moved or dropped.
 */
export function proofIn(schema: string): string {
  return `select ${epochIn(schema)} as epoch, ((last_value << 24) | 16777215::bigint)::text as latest,
    ${fingerprintIn(schema)} as fingerprint,
    (extract(epoch from clock_timestamp()) * 1000.0)::float8 as database_ms
    from ${quoteIdentifier(schema)}.cache_version`
}

export function proofOf({ epoch, latest, fingerprint, database_ms }: ProofRow): Proof {
  return { epoch, latest: BigInt(latest), fingerprint, databaseMs: Number(database_ms) }
}
