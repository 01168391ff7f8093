import type pg from 'pg'
import { exactNumber } from '../schema/exact-number.js'
import { quoteIdentifier } from '../schema/schema-owner.js'
import { restoredAnnouncers, strangeAnnouncers } from './announcer-owners.js'
import type { Announcing, Depends, QueryDefinition, TableDefinition } from './binding-definition.js'
import { inspectBindings } from './binding-inspection.js'
import type { BindingFault } from './bound-source.js'

/** A binding of the database. */
export type DefinedBinding = (DefinedTable | QueryDefinition) & {
  readonly fault: BindingFault | undefined
  /** Fault of the owner of its triggers' function, in words. Its keys are answered nevertheless. */
  readonly ownerFault?: string | undefined
  /** True if its triggers are from before the database was restored, and take longer than they have to. */
  readonly isRestored?: boolean
}

interface DefinedTable extends TableDefinition {
  /** Oid of the table. A name may stand for another table by now. */
  readonly tableId: number
}

/** Returns true if the migrations that bring bindings have run. */
export async function hasBindings(client: pg.Client, schema: string): Promise<boolean> {
  const { rows } = await client.query<{ exists: boolean }>(
    `select to_regclass(format('%I.cache_bound_tables', $1::text)) is not null
       and to_regclass(format('%I.cache_bound_queries', $1::text)) is not null as exists`,
    [schema],
  )
  return rows[0]?.exists === true
}

/** Returns the bindings in the order of their keys, first those of tables. */
export async function bindingDefinitions(
  client: pg.Client,
  schema: string,
): Promise<readonly (DefinedTable | QueryDefinition)[]> {
  return [...(await tableDefinitions(client, schema)), ...(await queryDefinitions(client, schema))]
}

async function tableDefinitions(client: pg.Client, schema: string): Promise<readonly DefinedTable[]> {
  const { rows } = await client.query<{
    key: string
    table: string
    table_id: number
    columns: string[] | null
    group_name: string | null
    announce: Announcing
  }>(
    `select pattern as key, bound::oid as table_id, columns, group_name, announce,
       coalesce(quote_ident(nspname) || '.' || quote_ident(relname), table_name) as table
     from ${quoteIdentifier(schema)}.cache_bound_tables
       left join pg_class on pg_class.oid = bound::oid left join pg_namespace on pg_namespace.oid = relnamespace
     order by pattern collate "C"`,
  )
  return rows.map(({ key, table, table_id: tableId, columns, group_name: group, announce }) => ({
    key,
    table,
    tableId,
    columns: columns ?? undefined,
    group: group ?? undefined,
    announce,
  }))
}

async function queryDefinitions(client: pg.Client, schema: string): Promise<readonly QueryDefinition[]> {
  const { rows } = await client.query<{
    key: string
    query: string
    depends: Depends
    many: boolean
    ttl_seconds: number | null
    group_name: string | null
    names_in: string
  }>(
    `select pattern as key, query, depends, is_many as many,
       ${exactNumber('extract(epoch from ttl)')} as ttl_seconds, group_name, names_in
     from ${quoteIdentifier(schema)}.cache_bound_queries
     order by pattern collate "C"`,
  )
  return rows.map(({ ttl_seconds: ttlSeconds, group_name: group, names_in: namesIn, ...rest }) => ({
    ...rest,
    ttlSeconds: ttlSeconds ?? undefined,
    group: group ?? undefined,
    namesIn,
  }))
}

/** Returns the bindings, each with its fault for the role of the session. */
export async function definedBindings(client: pg.Client, schema: string): Promise<readonly DefinedBinding[]> {
  const definitions = await bindingDefinitions(client, schema)
  const query = async (sql: string) => (await client.query(sql)).rows as never
  const { sources } = await inspectBindings(query, schema)
  const strange = await strangeAnnouncers(client, schema)
  const restored = await restoredAnnouncers(client, schema)
  return definitions.map((definition) => ({
    ...definition,
    fault: sources.find(({ pattern }) => pattern.text === definition.key)?.fault,
    ownerFault: strange.find(({ key }) => key === definition.key)?.says,
    isRestored: restored.has(definition.key),
  }))
}
