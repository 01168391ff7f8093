import type pg from 'pg'
import { inTransaction } from '../../postgres/pool/transaction.js'
import { isForeignToSuperuser, quoteIdentifier } from '../../postgres/schema/schema-owner.js'
import { bad, type Finding, migrateAs, ok, runAs } from './finding.js'

const entriesTable = 'cache_entries'
const migrationsTable = 'cache_migrations'

/** Kinds of relations: the name for messages, and the keyword in `alter`. */
const kinds: Readonly<Record<string, readonly [name: string, keyword: string]>> = {
  p: ['a partitioned table', 'table'],
  v: ['a view', 'view'],
  m: ['a materialized view', 'materialized view'],
  f: ['a foreign table', 'foreign table'],
  S: ['a sequence', 'sequence'],
  c: ['a composite type', 'type'],
  i: ['an index', 'index'],
}

interface RelationRow {
  readonly name: string
  readonly schema: string
  readonly kind: string
  readonly owner: string
  readonly is_foreign: boolean
  readonly schema_owner: string
  readonly may_use_schema: boolean
  readonly is_in_path: boolean
}

/** Place of the cache, or where it would be created. */
interface Place {
  readonly role: string
  readonly path: string
  /** Schema of the table that the search path finds; if there is none, the schema in which objects are created. */
  readonly schema: string | null
  readonly relations: readonly RelationRow[]
  /** Schemas of the search path that the role may not use. */
  readonly closed: readonly { readonly name: string; readonly owner: string }[]
}

/** Checks that the session finds the table of entries, and that it is a table. A missing table is not a fault here. */
export async function lookAtTable(client: pg.Client): Promise<Finding> {
  const place = await inTransaction(client, () => placeOf(client))
  const { role, schema, path, relations } = place
  const here = relations.filter((relation) => relation.schema === schema)
  const entries = here.find(({ name }) => name === entriesTable)
  if (entries === undefined) {
    const fault = notFound(place)
    if (fault !== undefined) return fault
  }
  for (const { kind, name, owner, is_foreign: isForeign } of here) {
    const relation = `${schema}.${name}`
    if (kind !== 'r') {
      const [what, keyword] = kinds[kind] ?? ['not a table', 'table']
      const rename = `alter ${keyword} ${quoteIdentifier(schema ?? '')}.${name} rename to ${name}_before`
      return bad(
        'table',
        `${relation} is ${what} of role "${owner}", but must be an ordinary table`,
        `${runAs(`"${owner}"`, rename)}; then run "caching-layer migrate"`,
      )
    }
    if (isForeign)
      return bad(
        'table',
        `${relation} belongs to role "${owner}", which is not a superuser as this one is: ` +
          'it could run code as a superuser',
        `connect as "${owner}" or as a role of sql/least-privilege.sql, ` +
          `or run "caching-layer migrate --owner=${owner}"`,
      )
  }
  if (entries !== undefined) return ok('table', `${schema}.${entriesTable}`)
  if (schema === null)
    return bad(
      'table',
      `the search_path (${path}) of role "${role}" names no schema that exists and that it may use`,
      runAs('a superuser', `alter role ${quoteIdentifier(role)} set search_path = public`),
    )
  return ok('table', `${schema}.${entriesTable} does not exist yet`)
}

/** Returns a finding if the table is in another schema, or in one that the role may not use. */
function notFound({ role, path, relations, closed }: Place): Finding | undefined {
  const elsewhere = relations.filter(({ name, kind }) => name === entriesTable && kind === 'r')
  const hidden = elsewhere.find(({ is_in_path: isInPath }) => isInPath)
  const schema = hidden?.schema ?? closed[0]?.name
  // A table that the role may use is that of another cache, if the search path names the schema of this one.
  const isClosed = hidden !== undefined || elsewhere.every(({ may_use_schema: mayUse }) => !mayUse)
  if (schema !== undefined && isClosed) {
    const owner = hidden?.schema_owner ?? closed[0]?.owner
    return bad(
      'table',
      `role "${role}" has no right to use the schema ${schema}${hidden ? `, which has ${entriesTable}` : ''}`,
      runAs(
        `the owner of the schema, "${owner}"`,
        `grant usage on schema ${quoteIdentifier(schema)} to ${quoteIdentifier(role)}`,
      ),
    )
  }
  const other = elsewhere[0]
  if (other === undefined) return undefined
  return bad(
    'table',
    `the search_path (${path}) of role "${role}" does not name the schema ${other.schema}, which has ${entriesTable}`,
    `if that is another cache, ${migrateAs(undefined)} of this one; if not, ${runAs(
      'a superuser',
      ...(other.may_use_schema
        ? []
        : [`grant usage on schema ${quoteIdentifier(other.schema)} to ${quoteIdentifier(role)}`]),
      `alter role ${quoteIdentifier(role)} set search_path = ${quoteIdentifier(other.schema)}`,
    )}`,
  )
}

/**
 * Finds the place of the cache. The first statement qualifies all names, and the second one sets the search path to
 * that of PostgreSQL's own objects.
 */
async function placeOf(client: pg.Client): Promise<Place> {
  const { rows: found } = await client.query<{ id: number | null; schema: string | null; path: string }>(
    `select pg_catalog.to_regclass('${entriesTable}')::pg_catalog.oid as id,
            pg_catalog.current_schema()::pg_catalog.text as schema,
            pg_catalog.current_setting('search_path') as path`,
  )
  await client.query("select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)")
  const { id = null, schema = null, path = '' } = found[0] ?? {}
  const { rows: relations } = await client.query<RelationRow & { readonly id: number }>(
    `select c.oid as id, relname::text as name, nspname::text as schema, relkind::text as kind,
            pg_get_userbyid(relowner)::text as owner, ${isForeignToSuperuser('relowner')} as is_foreign,
            pg_get_userbyid(nspowner)::text as schema_owner,
            has_schema_privilege(n.oid, 'usage') as may_use_schema,
            nspname::text = any($2::text[]) as is_in_path
     from pg_class as c join pg_namespace as n on n.oid = relnamespace
     where relname = any($1::text[]) and nspname::text !~ '^pg_'
     order by is_in_path desc, may_use_schema desc, 2, 3`,
    [[entriesTable, migrationsTable], await schemasOf(client, path)],
  )
  const { rows: closed } = await client.query<{ name: string; owner: string }>(
    `select nspname::text as name, pg_get_userbyid(nspowner)::text as owner
     from unnest($1::text[]) with ordinality as wanted (name, number) join pg_namespace on nspname::text = name
     where not has_schema_privilege(pg_namespace.oid, 'usage')
     order by number`,
    [await schemasOf(client, path)],
  )
  const { rows: me } = await client.query<{ role: string }>('select current_user::text as role')
  return {
    role: me[0]?.role ?? '',
    path,
    schema: relations.find((relation) => relation.id === id)?.schema ?? schema,
    relations,
    closed,
  }
}

/** Returns the names of the schemas in a search path, such as `"$user", public`. */
async function schemasOf(client: pg.Client, path: string): Promise<string[]> {
  const { rows } = await client.query<{ role: string }>('select current_user::text as role')
  return [...path.matchAll(/"((?:[^"]|"")*)"|([^",\s]+)/g)].map(([, quoted, plain = '']) => {
    const name = quoted?.replaceAll('""', '"') ?? plain
    return name === '$user' ? (rows[0]?.role ?? '') : name
  })
}
