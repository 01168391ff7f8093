import pg from 'pg'

/** The ways to announce changes of the rows: through the outbox, or by a notification at each commit (P17). */
export const announcements = ['outbox', 'notify'] as const
export type Announcing = (typeof announcements)[number]

/** A binding as its owner declares it. */
export interface BindingDefinition {
  /** Form of the keys, with names of columns in braces. */
  readonly key: string
  /** Name of the table with its schema, quoted where necessary. */
  readonly table: string
  /** Columns of the answer; undefined for all. */
  readonly columns?: readonly string[] | undefined
  readonly group?: string | undefined
  readonly announce: Announcing
}

/**
 * Returns the statement that makes a binding, or changes it. `schema` is the quoted name of the cache's schema; without
 * it, the function is found by the search path.
 */
export function bindStatement(
  schema: string | undefined,
  { key, table, columns, group, announce }: BindingDefinition,
): string {
  const rest = [
    `key => ${pg.escapeLiteral(key)}`,
    ...(columns ? [`columns => array[${columns.map((name) => pg.escapeLiteral(name)).join(', ')}]`] : []),
    ...(group === undefined ? [] : [`in_group => ${pg.escapeLiteral(group)}`]),
    ...(announce === 'outbox' ? [] : [`announce => ${pg.escapeLiteral(announce)}`]),
  ]
  return `select ${prefixOf(schema)}cache_bind(${[pg.escapeLiteral(table), ...rest].join(', ')})`
}

/** Returns the statement that ends a binding; see `bindStatement`. */
export function unbindStatement(schema: string | undefined, key: string): string {
  return `select ${prefixOf(schema)}cache_unbind(${pg.escapeLiteral(key)})`
}

/** Returns the statement that binds a query again, as the database has it. */
export function rebindStatement(key: string): string {
  return `select cache_bind_query(pattern, query, depends, is_many, ttl, group_name, names_in) from cache_bound_queries where pattern = ${pg.escapeLiteral(key)}`
}

function prefixOf(schema: string | undefined): string {
  return schema === undefined ? '' : `${schema}.`
}
