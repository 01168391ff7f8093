import { type Announcing, bindStatement, unbindStatement } from './binding-definition.js'
import type { BindingFault } from './bound-source.js'
import { keyTypes } from './column-value.js'

/** State of the table of a binding, as an inspection found it. */
export interface BindingShape {
  readonly pattern: string
  /** Qualified name of the table when it was bound. */
  readonly bound_name: string
  /** Name of the table now; null if it was dropped. */
  readonly table: string | null
  readonly kind: string | null
  /** True if another table has the name that the bound one had. */
  readonly is_replaced: boolean | null
  readonly key_columns: readonly string[]
  /** Types of these columns; null for one that was dropped or renamed. */
  readonly key_types: readonly (string | null)[]
  readonly missing_columns: readonly string[]
  readonly has_unique_index: boolean
  readonly has_relatives: boolean | null
  readonly has_foreign_partitions: boolean
  /** True if columns have changed places by their names, so that others make the key than those that were bound. */
  readonly has_other_columns: boolean | null
  readonly missing_triggers: readonly string[]
  readonly unwatched_partitions: readonly string[]
  /** Columns of the answer; null for all. */
  readonly columns: readonly string[] | null
  readonly group_name: string | null
  readonly announce: Announcing
  /** Name of the table's schema, quoted if necessary, if the role may not use it. */
  readonly closed_schema: string | null
  /** True if the role may read the columns of the key and of the answer. */
  readonly may_read: boolean | null
  /** Role of the session, quoted if necessary. */
  readonly role: string
}

/** Returns the first fault of a bound table; undefined if its rows can be served. */
export function faultOf(shape: BindingShape): BindingFault | undefined {
  const { pattern, table, bound_name: name, key_columns: keyColumns, role } = shape
  const bindWith = (columns: readonly string[] | null) =>
    `run as the owner: ${bindStatement(undefined, {
      table: name,
      key: pattern,
      columns: columns ?? undefined,
      group: shape.group_name ?? undefined,
      announce: shape.announce,
    })}`
  const bindAgain = bindWith(shape.columns)
  const unbind = `run as the owner: ${unbindStatement(undefined, pattern)}`
  if (table === null)
    return { says: `the table ${name} was dropped`, cure: unbind, shown: 'its table was dropped' }
  if (shape.is_replaced)
    return {
      says: `${name} is another table than the one that was bound, which is ${table} now`,
      cure: bindAgain,
      shown: 'its table was replaced by another one',
      isCuredByBinding: true,
    }
  const lost = keyColumns.find((_column, index) => !isKeyType(shape.key_types[index]))
  if (lost !== undefined)
    return {
      says: `${table} has no column ${lost} of a type that a key can have`,
      cure: `give the column back, or ${unbind}`,
      shown: 'a column of its key was dropped, renamed or given another type',
    }
  const [missing] = shape.missing_columns
  if (missing !== undefined)
    return {
      says: `${table} has no column ${missing}`,
      cure: bindWith(shape.columns?.filter((column) => !shape.missing_columns.includes(column)) ?? null),
      shown: 'a column of its table is gone',
    }
  if (!shape.has_unique_index)
    return {
      says: `${table} has no unique index on ${keyColumns.join(', ')}`,
      cure: `run as the owner: create unique index concurrently on ${table} (${keyColumns.join(', ')})`,
      shown: 'its table has no unique index for the key',
    }
  if (shape.has_relatives)
    return {
      says: `${table} has parents or children by inheritance, whose changes are not announced`,
      cure: `end the inheritance, or ${unbind}`,
      shown: 'its table has parents or children by inheritance',
    }
  if (shape.has_foreign_partitions)
    return {
      says: `${table} has partitions that are foreign tables, whose changes are not announced`,
      cure: `detach them, or ${unbind}`,
      shown: 'its table has partitions that are foreign tables',
    }
  const unwatched = [...shape.missing_triggers, ...shape.unwatched_partitions]
  if (unwatched.length > 0)
    return {
      says: `changes of ${table} are not announced: triggers are missing or changed (${unwatched.join(', ')})`,
      cure: bindAgain,
      shown: 'the changes of its table are not announced',
      isCuredByBinding: true,
    }
  if (shape.has_other_columns)
    return {
      says: `columns of ${table} were renamed, so that others make the key than those that were bound`,
      cure: bindAgain,
      shown: 'the columns of its key were renamed',
      isCuredByBinding: true,
    }
  if (shape.closed_schema !== null || !shape.may_read) {
    const grants = [
      ...(shape.closed_schema === null ? [] : [`grant usage on schema ${shape.closed_schema} to ${role}`]),
      ...(shape.may_read ? [] : [`grant select on ${table} to ${role}`]),
    ]
    return {
      says: `the role ${role} may not read ${table}`,
      cure: `run as the owner: ${grants.join('; ')}`,
      shown: 'the role of the sidecar may not read its table',
    }
  }
  return undefined
}

function isKeyType(type: string | null | undefined): boolean {
  return keyTypes.some((one) => one === type)
}
