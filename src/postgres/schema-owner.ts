import type pg from 'pg'

/** The schema that the cache lives in, as a session found it. */
export interface CacheSchema {
  readonly name: string
  /** Undefined where there is none yet. */
  readonly entries: CacheTable | undefined
  readonly migrations: CacheTable | undefined
}

export interface CacheTable {
  readonly owner: string
  /** True if the session's role has the owner's rights anyway, or the owner is a superuser. */
  readonly isTrusted: boolean
  /** True if reading it may run functions of its owner's choice. */
  readonly hasPolicies: boolean
}

interface TableRow {
  readonly name: string
  readonly kind: string
  readonly owner: string
  readonly is_trusted: boolean
  readonly has_policies: boolean
}

const entriesTable = 'cache_entries'
const migrationsTable = 'cache_migrations'

/**
 * A role is trusted if it is a superuser, or if the session's role has its rights already. A superuser has everybody's
 * rights, so for one only another superuser is.
 */
const isTrusted = (owner: string) =>
  `(select owner.rolsuper or (not me.rolsuper and pg_has_role(me.oid, owner.oid, 'usage'))
    from pg_roles as owner, pg_roles as me
    where owner.oid = ${owner} and me.rolname = current_user)`

const kinds: Readonly<Record<string, string>> = {
  p: 'a partitioned table',
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  S: 'a sequence',
  c: 'a composite type',
  i: 'an index',
}

/**
 * Finds the schema by the session's search path, and then sets the search path of this transaction to `pg_catalog`: from
 * here on no statement finds another role's functions, operators or tables. Must be called first in the transaction.
 *
 * Throws an Error of one line if a name that belongs to the cache is not a table.
 */
export async function openSchema(client: pg.Client): Promise<CacheSchema> {
  const { rows: found } = await client.query<{ entries: number | null; schema: string | null }>(
    `select pg_catalog.to_regclass('${entriesTable}')::pg_catalog.oid as entries,
            pg_catalog.current_schema() as schema`,
  )
  await client.query(`select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)`)
  const { entries, schema } = found[0] ?? { entries: null, schema: null }
  const name = entries === null ? schema : await schemaOf(client, entries)
  if (name === null) throw new Error('the search_path names no schema that exists and that this role may use')
  const { rows } = await client.query<TableRow>(
    `select relname as name, relkind as kind, pg_get_userbyid(relowner) as owner,
            ${isTrusted('relowner')} as is_trusted, relrowsecurity as has_policies
     from pg_class
     where relnamespace = $1::text::regnamespace and relname = any($2::text[])`,
    [quoteIdentifier(name), [entriesTable, migrationsTable]],
  )
  const table = (wanted: string): CacheTable | undefined => {
    const row = rows.find((row) => row.name === wanted)
    if (row === undefined) return undefined
    const { kind, owner } = row
    if (kind !== 'r')
      throw new Error(
        `${name}.${wanted} is ${kinds[kind] ?? 'no table'} of role "${owner}" where caching-layer needs a table: ` +
          'remove it, or lead the search_path to another schema',
      )
    return { owner, isTrusted: row.is_trusted, hasPolicies: row.has_policies }
  }
  return { name, entries: table(entriesTable), migrations: table(migrationsTable) }
}

async function schemaOf(client: pg.Client, table: number): Promise<string | null> {
  const { rows } = await client.query<{ name: string }>(
    'select nspname as name from pg_class join pg_namespace on pg_namespace.oid = relnamespace where pg_class.oid = $1',
    [table],
  )
  return rows[0]?.name ?? null
}

/** Throws an Error of one line if a table belongs to a role that this session has no reason to trust. */
export function requireTrustedOwners({ name, entries, migrations }: CacheSchema): void {
  for (const [table, found] of [
    [entriesTable, entries],
    [migrationsTable, migrations],
  ] as const) {
    if (found === undefined || found.isTrusted) continue
    throw new Error(
      `${name}.${table} belongs to role "${found.owner}": run "caching-layer migrate" as that role, or with ` +
        `--owner=${found.owner} if it may own the cache`,
    )
  }
}

/**
 * Throws an Error of one line if an untrusted role has put a function or an operator into the schema that a migration
 * could call in place of PostgreSQL's own, or of ours. `names` are those that the migrations call.
 */
export async function requireNoImpostors(
  client: pg.Client,
  schema: string,
  names: readonly string[],
): Promise<void> {
  const { rows } = await client.query<{ what: string; owner: string }>(
    `select 'function ' || oid::regprocedure::text as what, pg_get_userbyid(proowner) as owner
     from pg_proc
     where pronamespace = $1::text::regnamespace and proname = any($2::text[]) and not ${isTrusted('proowner')}
     union all
     select 'operator ' || oid::regoperator::text, pg_get_userbyid(oprowner)
     from pg_operator
     where oprnamespace = $1::text::regnamespace and not ${isTrusted('oprowner')}
     order by 1
     limit 1`,
    [quoteIdentifier(schema), names],
  )
  const [found] = rows
  if (found)
    throw new Error(
      `${found.what} belongs to role "${found.owner}" and could run in place of one that the migrations call: ` +
        `drop it, and "revoke create on schema ${quoteIdentifier(schema)} from public"`,
    )
}

/**
 * Makes `owner` the owner of everything that earlier migrations have made in the schema, and goes on with that role's
 * rights until the transaction ends. Rejects if the session's role may not do that.
 */
export async function actAsOwner(
  client: pg.Client,
  { name }: CacheSchema,
  owner: string,
  functions: readonly string[],
): Promise<void> {
  const schema = quoteIdentifier(name)
  const { rows } = await client.query<{ statement: string }>(
    `select format('alter %s %s owner to %I', kind, object, $2::text) as statement
     from (
       select case relkind when 'S' then 'sequence' else 'table' end as kind, oid::regclass::text as object, relowner as has
       from pg_class
       where relnamespace = $1::text::regnamespace and relname = any($3::text[])
       union all
       select 'function', oid::regprocedure::text, proowner
       from pg_proc
       where pronamespace = $1::text::regnamespace and proname = any($4::text[])
     ) as objects
     where has <> (select oid from pg_roles where rolname = $2)`,
    [schema, owner, [entriesTable, migrationsTable, 'cache_version'], functions],
  )
  for (const { statement } of rows) await client.query(statement)
  await client.query(`set local role ${quoteIdentifier(owner)}`)
}

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
