import { entryColumns } from './entry-columns.js'
import { quoteIdentifier } from './schema-owner.js'
import { migrateFirst, TableFault, unannounced } from './table-fault.js'
import { triggers } from './table-triggers.js'

/** Shape of the table, as an inspection found it. */
export interface TableShape {
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
  /** True if the objects that a session of the change feed asks are there. */
  readonly is_up_to_date: boolean
  readonly fingerprint: string
}

const kinds: Readonly<Record<string, string>> = {
  p: 'a partitioned table',
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
}

/** Names of the columns that migrations add. */
const added = [...entryColumns].filter(([, column]) => column.added !== undefined).map(([name]) => name)

/** Returns the first fault of the table; undefined if it can be cached. */
export function faultOf(row: TableShape): TableFault | undefined {
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
function shapeFault(row: TableShape): readonly [says: string, cure: string] | undefined {
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
  if (added.every((name) => lacks.includes(name)) || missing.length === Object.keys(triggers).length)
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
  if (!row.is_up_to_date) return ['is not up to date', migrateFirst]
  return undefined
}

/**
 * Returns the cure for missing columns. No migration creates the columns of the original service. Without its keys or
 * values, the rows are useless.
 */
function cureOfColumns({ schema, lacks }: TableShape): string {
  const definitions = lacks.flatMap((name) => entryColumns.get(name)?.original ?? [])
  if (definitions.length < lacks.length) return migrateFirst
  const table = `${quoteIdentifier(schema)}.cache_entries`
  const isLost = lacks.some((name) => name !== 'updated_at')
  return (
    `${isLost ? 'restore the table from a backup, or begin with an empty one: ' : ''}run as the owner: ` +
    `${isLost ? `truncate ${table}; ` : ''}` +
    `alter table ${table} ${lacks.map((name, index) => `add column ${name} ${definitions[index]}`).join(', ')}`
  )
}

/**
 * Returns the clauses of `alter table` that change the type of a column. `odd` is its name and its type. The default is
 * dropped first, because it may not fit the new type.
 */
function cureOfType(odd: string): string {
  const [name = ''] = odd.split(' ')
  const type = entryColumns.get(name)?.added
  const fallback = name === 'version' ? `, alter column version set default 0` : ''
  return `alter column ${name} drop default, alter column ${name} type ${type} using ${name}::${type}${fallback}`
}

function disabledFault({ schema, disabled }: TableShape): TableFault {
  const enabled = disabled.map(
    (name) => `enable ${triggers[name] === 'R' ? 'replica' : 'always'} trigger ${name}`,
  )
  return new TableFault(
    `changes are not announced: trigger ${disabled.join(', ')} is not enabled always`,
    `run as the owner: alter table ${quoteIdentifier(schema)}.cache_entries ${enabled.join(', ')}`,
    unannounced,
  )
}
