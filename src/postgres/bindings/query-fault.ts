import { rebindStatement, unbindStatement } from './binding-definition.js'
import type { BindingFault } from './bound-source.js'

/** State of the query of a binding, as an inspection found it. */
export interface QueryShape {
  readonly pattern: string
  /** Name of the query's function; null if it was dropped. */
  readonly query: string | null
  /** True if the role may not call it; null if it was dropped. */
  readonly is_closed: boolean | null
  /** Tables on which the query depends. */
  readonly dropped_tables: readonly string[]
  /** Those whose name another table has now. */
  readonly replaced_tables: readonly string[]
  /** Columns that lead to keys and were dropped or renamed, each with its table. */
  readonly missing_columns: readonly string[]
  /** Tables with columns that were renamed, so that others lead to keys than those that were bound. */
  readonly renamed_tables: readonly string[]
  /** Tables that have relatives by inheritance, or partitions that are foreign tables. */
  readonly related_tables: readonly string[]
  /** Tables whose changes are not announced. */
  readonly unwatched_tables: readonly string[]
  /** True if the function of a mapping was dropped. */
  readonly lacks_mapping: boolean
  /** Tables that the query reads by now, and that `depends` leaves out. */
  readonly unknown_tables: readonly string[]
  /** Reason why answers change without a change of a row, in words; null if there is none. */
  readonly forbidden_call: string | null
  /** Tables and views that the query names, and that the role may not read. */
  readonly unreadable_tables: readonly string[]
  /** Role of the session, quoted if necessary. */
  readonly role: string
}

/** Returns the first fault of a bound query; undefined if its answers can be served. */
export function queryFaultOf(shape: QueryShape): BindingFault | undefined {
  const { pattern, query, role } = shape
  const bindAgain = `run as the owner: ${rebindStatement(pattern)}`
  const unbind = `run as the owner: ${unbindStatement(undefined, pattern)}`
  const [dropped] = shape.dropped_tables
  if (dropped !== undefined)
    return {
      says: `the table ${dropped} was dropped`,
      cure: `bind the query without it, or ${unbind}`,
      shown: 'a table of its query was dropped',
    }
  const [replaced] = shape.replaced_tables
  if (replaced !== undefined)
    return {
      says: `${replaced} is another table than the one that the query depends on`,
      cure: bindAgain,
      shown: 'a table of its query was replaced by another one',
      isCuredByBinding: true,
    }
  const [missing] = shape.missing_columns
  if (missing !== undefined)
    return {
      says: `there is no column ${missing}, which leads to keys`,
      cure: `bind the query with other columns, or ${unbind}`,
      shown: 'a column that leads to its keys was dropped or renamed',
    }
  if (query === null || shape.lacks_mapping)
    return {
      says: `the function of the ${query === null ? 'query' : 'query of a dependency'} was dropped`,
      cure: bindAgain,
      shown: 'the function of its query was dropped',
      isCuredByBinding: true,
    }
  const [related] = shape.related_tables
  if (related !== undefined)
    return {
      says: `${related} has relatives by inheritance or foreign partitions, whose changes are not announced`,
      cure: `end that, or ${unbind}`,
      shown: 'a table of its query has relatives whose changes are not announced',
    }
  // First, because the columns are those of a trigger: without it, they are others, too.
  const unwatched = shape.unwatched_tables
  if (unwatched.length > 0)
    return {
      says: `changes of ${unwatched.join(', ')} are not announced: triggers are missing or changed`,
      cure: bindAgain,
      shown: 'the changes of a table of its query are not announced',
      isCuredByBinding: true,
    }
  const [renamed] = shape.renamed_tables
  if (renamed !== undefined)
    return {
      says: `columns of ${renamed} were renamed, so that others lead to keys than those that were bound`,
      cure: bindAgain,
      shown: 'columns that lead to its keys were renamed',
      isCuredByBinding: true,
    }
  const unknown = shape.unknown_tables
  if (unknown.length > 0)
    return {
      says: `the query reads ${unknown.join(', ')} by now, which depends leaves out`,
      cure: `bind the query with ${unknown.join(', ')} in depends, or ${unbind}`,
      shown: 'its query reads a table whose changes are not announced',
    }
  if (shape.forbidden_call !== null)
    return {
      says: `answers of the query change without a change of a row: ${shape.forbidden_call}`,
      cure: `change that, or ${unbind}`,
      shown: 'its query does not always give the same answer',
    }
  if (shape.is_closed || shape.unreadable_tables.length > 0) {
    const grants = [
      ...(shape.is_closed ? [`grant execute on function ${query} to ${role}`] : []),
      ...shape.unreadable_tables.map((table) => `grant select on ${table} to ${role}`),
    ]
    return {
      says: `the role ${role} may not read ${shape.unreadable_tables.join(', ') || 'the query'}`,
      cure: `run as the owner: ${grants.join('; ')}`,
      shown: 'the role of the sidecar may not read what its query reads',
    }
  }
  return undefined
}
