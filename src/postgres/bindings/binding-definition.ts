import pg from 'pg'

/** The ways to announce changes of the rows: through the outbox, or by a notification at each commit (P17). */
export const announcements = ['outbox', 'notify'] as const
export type Announcing = (typeof announcements)[number]

/** A binding as its owner declares it. */
export type BindingDefinition = TableDefinition | QueryDefinition

/** A binding of keys to a table (P16). */
export interface TableDefinition {
  /** Form of the keys, with names of columns in braces. */
  readonly key: string
  /** Name of the table with its schema, quoted where necessary. */
  readonly table: string
  /** Columns of the answer; undefined for all. */
  readonly columns?: readonly string[] | undefined
  readonly group?: string | undefined
  readonly announce: Announcing
}

/** Ways from changed rows to keys, by the name of the table: columns in braces, or queries. */
export type Depends = Readonly<Record<string, string | readonly string[]>>

/** A binding of keys to a query (P18). */
export interface QueryDefinition {
  /** Form of the keys, with names in braces. */
  readonly key: string
  readonly query: string
  readonly depends: Depends
  /** True if the answer is an array of all rows. */
  readonly many: boolean
  /** Longest time for which an answer is held; undefined for no limit. */
  readonly ttlSeconds?: number | undefined
  readonly group?: string | undefined
  /** Search path of the names in the queries. */
  readonly namesIn: string
}

export function isQueryDefinition<T extends BindingDefinition>(
  definition: T,
): definition is Extract<T, QueryDefinition> {
  return 'query' in definition
}

/**
 * Returns the statement that makes a binding, or changes it. `schema` is the quoted name of the cache's schema; without
 * it, the function is found by the search path.
 */
export function bindStatement(schema: string | undefined, definition: BindingDefinition): string {
  return `select ${prefixOf(schema)}${isQueryDefinition(definition) ? queryCall(definition) : tableCall(definition)}`
}

function tableCall({ key, table, columns, group, announce }: TableDefinition): string {
  const rest = [
    `key => ${pg.escapeLiteral(key)}`,
    ...(columns ? [`columns => array[${columns.map((name) => pg.escapeLiteral(name)).join(', ')}]`] : []),
    ...groupArgument(group),
    ...(announce === 'outbox' ? [] : [`announce => ${pg.escapeLiteral(announce)}`]),
  ]
  return `cache_bind(${[pg.escapeLiteral(table), ...rest].join(', ')})`
}

function queryCall({ key, query, depends, many, ttlSeconds, group, namesIn }: QueryDefinition): string {
  const rest = [
    `query => ${pg.escapeLiteral(query)}`,
    `depends => ${pg.escapeLiteral(JSON.stringify(depends))}`,
    ...(many ? ['many => true'] : []),
    ...(ttlSeconds === undefined ? [] : [`ttl => '${ttlSeconds} seconds'`]),
    ...groupArgument(group),
    `names_in => ${pg.escapeLiteral(namesIn)}`,
  ]
  return `cache_bind_query(${[pg.escapeLiteral(key), ...rest].join(', ')})`
}

function groupArgument(group: string | undefined): readonly string[] {
  return group === undefined ? [] : [`in_group => ${pg.escapeLiteral(group)}`]
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
