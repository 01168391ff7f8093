import type pg from 'pg'

/** Schema of the cache, as a session found it. */
export interface CacheSchema {
  readonly name: string
  /** Table of entries; undefined if there is none yet. */
  readonly entries: OwnedTable | undefined
  readonly migrations: OwnedTable | undefined
}

export interface OwnedTable {
  readonly owner: string
  /** True if the session's role has the owner's rights anyway, or the owner is a superuser. */
  readonly isTrusted: boolean
  /** True if the table has row-level security, by which reading it may run functions that its owner chose. */
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
 * Returns SQL that is true if the role is trusted: it is a superuser, or the session's role has its rights already. A
 * superuser has the rights of all roles, so it trusts only other superusers.
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
 * Finds the schema by the session's search path. Then sets the search path of this transaction to `pg_catalog`, so that
 * later statements do not find functions, operators or tables of other roles, and limits the wait for a lock to 10 s.
 * Must be called first in the transaction.
 *
 * Throws an Error of one line if something other than a table has the name of a table of the cache, or if the session's
 * role is a superuser and an ordinary role owns the table: the owner of a table decides which code runs with the rights
 * of its users.
 */
export async function openSchema(client: pg.Client, options?: LookOptions): Promise<CacheSchema> {
  const { rows: found } = await client.query<{ entries: number | null; schema: string | null }>(
    `select pg_catalog.to_regclass('${entriesTable}')::pg_catalog.oid as entries,
            pg_catalog.current_schema() as schema`,
  )
  await client.query(
    `select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
            pg_catalog.set_config('lock_timeout', '10s', true)`,
  )
  const { entries, schema } = found[0] ?? { entries: null, schema: null }
  const name = entries === null ? schema : await schemaOf(client, entries)
  if (name === null) throw new Error('the search_path names no schema that exists and that this role may use')
  return lookAtSchema(client, name, options)
}

interface LookOptions {
  /** Set to false to accept a table of an ordinary role in the session of a superuser. */
  readonly isOwnerRequired?: boolean
}

/**
 * Returns the schema of this name. To be called after `openSchema`, in the same transaction; throws the same errors.
 */
export async function lookAtSchema(
  client: pg.Client,
  name: string,
  { isOwnerRequired = true }: LookOptions = {},
): Promise<CacheSchema> {
  const { rows } = await client.query<TableRow & { readonly is_superuser: boolean }>(
    `select relname as name, relkind as kind, pg_get_userbyid(relowner) as owner,
            ${isTrusted('relowner')} as is_trusted, relrowsecurity as has_policies,
            (select rolsuper from pg_roles where rolname = current_user) as is_superuser
     from pg_class
     where relnamespace = $1::text::regnamespace and relname = any($2::text[])`,
    [quoteIdentifier(name), [entriesTable, migrationsTable]],
  )
  const table = (wanted: string): OwnedTable | undefined => {
    const row = rows.find((row) => row.name === wanted)
    if (row === undefined) return undefined
    const { kind, owner } = row
    if (kind !== 'r')
      throw new Error(
        `${name}.${wanted} is ${kinds[kind] ?? 'not a table'} of role "${owner}" where caching-layer needs a table: ` +
          'remove it, or set the search_path to another schema',
      )
    if (row.is_superuser && !row.is_trusted && isOwnerRequired)
      throw new Error(
        `${name}.${wanted} belongs to role "${owner}", which is not a superuser as this one is: ` +
          `connect as "${owner}", or give everything to it by "caching-layer migrate --owner=${owner}"`,
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

/**
 * Throws an Error of one line if a table, or the function of a trigger on it, belongs to a role that is not trusted.
 */
export async function requireTrustedOwners(
  client: pg.Client,
  { name, entries, migrations }: CacheSchema,
): Promise<void> {
  for (const [table, found] of [
    [entriesTable, entries],
    [migrationsTable, migrations],
  ] as const) {
    if (found === undefined || found.isTrusted) continue
    throw new Error(
      `${name}.${table} belongs to role "${found.owner}": ` +
        'run "caching-layer migrate" as that role, then start with --no-migrate',
    )
  }
  const { rows } = await client.query<{ trigger: string; table: string; owner: string }>(
    `select tgname as trigger, relname as table, pg_get_userbyid(proowner) as owner
     from pg_trigger join pg_class on pg_class.oid = tgrelid join pg_proc on pg_proc.oid = tgfoid
     where relnamespace = $1::text::regnamespace and relname = any($2::text[]) and not tgisinternal
       and not ${isTrusted('proowner')}
     order by 1
     limit 1`,
    [quoteIdentifier(name), [entriesTable, migrationsTable]],
  )
  const [found] = rows
  if (found)
    throw new Error(
      `trigger ${found.trigger} of ${name}.${found.table} runs a function of role "${found.owner}": ` +
        `drop it, or give the function to the owner of the table`,
    )
}

/**
 * Throws an Error of one line if an untrusted role has created something in the schema that the migrations could
 * mistake for PostgreSQL's own object, or for ours: a function that they call, an operator, or a relation that they
 * create.
 */
export async function requireNoImpostors(
  client: pg.Client,
  schema: string,
  { functions, relations }: { readonly functions: readonly string[]; readonly relations: readonly string[] },
): Promise<void> {
  const { rows } = await client.query<{ what: string; owner: string }>(
    // A function with parameters of other types than PostgreSQL's own cannot match our calls, so it is harmless.
    `select 'function ' || oid::regprocedure::text as what, pg_get_userbyid(proowner) as owner
     from pg_proc
     where pronamespace = $1::text::regnamespace and proname = any($2::text[]) and not ${isTrusted('proowner')}
       and not exists (
         select from pg_type where pg_type.oid = any(proargtypes) and typnamespace <> 'pg_catalog'::regnamespace)
     union all
     select 'operator ' || pg_operator.oid::regoperator::text, pg_get_userbyid(oprowner)
     from pg_operator
     where oprnamespace = $1::text::regnamespace and not ${isTrusted('oprowner')}
       and exists (
         select from pg_operator as own
         where own.oprname = pg_operator.oprname and own.oprnamespace = 'pg_catalog'::regnamespace)
       and not exists (
         select from pg_type
         where pg_type.oid in (oprleft, oprright) and typnamespace <> 'pg_catalog'::regnamespace)
     union all
     select 'relation ' || oid::regclass::text, pg_get_userbyid(relowner)
     from pg_class
     where relnamespace = $1::text::regnamespace and relname = any($3::text[]) and relname <> '${entriesTable}'
       and not ${isTrusted('relowner')}
     order by 1
     limit 1`,
    [quoteIdentifier(schema), functions, relations],
  )
  const [found] = rows
  if (found)
    throw new Error(
      `${found.what} belongs to role "${found.owner}" ` +
        'and could be mistaken for one that the migrations call or create: ' +
        `drop it, and "revoke create on schema ${quoteIdentifier(schema)} from public"`,
    )
}

/**
 * Makes `owner` the owner of everything that earlier migrations have created in the schema, and continues with that
 * role's rights until the transaction ends. Rejects if an object belongs to another role that is not trusted, or if the
 * session's role has no right to do this.
 */
export async function actAsOwner(
  client: pg.Client,
  { name }: CacheSchema,
  owner: string,
  { relations, functions }: { readonly relations: readonly string[]; readonly functions: readonly string[] },
): Promise<void> {
  const schema = quoteIdentifier(name)
  const { rows } = await client.query<{ object: string; has: string; trusted: boolean; statement: string }>(
    `select object, pg_get_userbyid(has) as has, ${isTrusted('has')} as trusted,
            format('alter %s %s owner to %I', kind, object, $2::text) as statement
     from (
       select case relkind when 'S' then 'sequence' else 'table' end as kind, oid::regclass::text as object,
              relowner as has
       from pg_class
       where relnamespace = $1::text::regnamespace and relname = any($3::text[])
       union all
       select 'function', oid::regprocedure::text, proowner
       from pg_proc
       where pronamespace = $1::text::regnamespace and proname = any($4::text[])
     ) as objects
     where has <> (select oid from pg_roles where rolname = $2)`,
    [schema, owner, [...relations, migrationsTable], functions],
  )
  const foreign = rows.find(({ trusted }) => !trusted)
  if (foreign)
    throw new Error(
      `${foreign.object} belongs to role "${foreign.has}", and is not taken from it: change its owner first`,
    )
  for (const { statement } of rows) await client.query(statement)
  await client.query(`set local role ${quoteIdentifier(owner)}`)
}

/**
 * Returns SQL that is true if the session's role is a superuser and `owner`, the oid of a role, is not: objects of such
 * a role could run code as a superuser.
 */
export const isForeignToSuperuser = (owner: string) =>
  `(select me.rolsuper and not owner.rolsuper from pg_roles as owner, pg_roles as me
    where owner.oid = ${owner} and me.rolname = current_user)`

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Returns SQL for the oid of a relation in a schema that the role may use; null if there is none. */
export function oidOf(schemaName: string, relation: string): string {
  return `to_regclass('${`${quoteIdentifier(schemaName)}.${relation}`.replaceAll("'", "''")}')::oid`
}
