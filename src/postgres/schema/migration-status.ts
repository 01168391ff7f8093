import pg from 'pg'
import { inTransaction } from '../pool/transaction.js'
import { type Created, createdBy, type MigrationFile, migrationFiles } from './migration-files.js'
import { cureOfDenied, inMigrationSession, isDenied } from './migration-session.js'
import { type CacheSchema, openSchema, quoteIdentifier } from './schema-owner.js'

/**
 * State of a migration. `altered`: the file differs from what was applied. `unknown`: applied by a newer release, and
 * this one has no such file. `incomplete`: applied, but something that it created no longer exists.
 */
export type MigrationState = 'applied' | 'pending' | 'incomplete' | 'altered' | 'unknown'

export interface Migration {
  readonly name: string
  readonly state: MigrationState
}

/** Returns the state of every migration, in order. Changes nothing. */
export async function migrationStatus(url: string): Promise<Migration[]> {
  const files = await migrationFiles()
  return inMigrationSession(url, (client) =>
    inTransaction(client, async () => statusOf(client, await openSchema(client), files)),
  )
}

/** Returns the names of the files that `migrate` would apply. Changes nothing, and rejects as `migrate` does. */
export async function pendingMigrations(url: string): Promise<string[]> {
  const files = await migrationFiles()
  return toApply(await migrationStatus(url), files).map(({ name }) => name)
}

/**
 * Returns the first file that is not applied, or incomplete, and all files after it, because later files replace
 * functions of earlier ones. Throws if a file was altered.
 */
export function toApply(migrations: readonly Migration[], files: readonly MigrationFile[]): MigrationFile[] {
  const altered = migrations.find(({ state }) => state === 'altered')
  if (altered) throw new Error(`sql/${altered.name} differs from what was applied to this database`)
  const first = migrations.find(({ state }) => state === 'pending' || state === 'incomplete')
  return first ? files.filter(({ name }) => name >= first.name) : []
}

/** Returns the state of every migration, in the transaction of `client`. */
export async function statusOf(
  client: pg.Client,
  schema: CacheSchema,
  files: readonly MigrationFile[],
): Promise<Migration[]> {
  const applied = new Map(
    schema.migrations ? await appliedMigrations(client, schema.name, schema.migrations) : [],
  )
  const missing = await missingOf(client, schema, createdBy(files.filter(({ name }) => applied.has(name))))
  const known = files.map((file): Migration => {
    const { name, checksum, crlfChecksum } = file
    const before = applied.get(name)
    applied.delete(name)
    if (before === undefined) return { name, state: 'pending' }
    if (before !== checksum && before !== crlfChecksum) return { name, state: 'altered' }
    const { functions, relations, triggers, columns } = createdBy([file])
    const isWhole = ![...functions, ...relations, ...triggers, ...columns].some((made) => missing.has(made))
    return { name, state: isWhole ? 'applied' : 'incomplete' }
  })
  return [...known, ...[...applied.keys()].map((name): Migration => ({ name, state: 'unknown' }))]
}

/** Returns the objects that are missing in the schema, as after a `drop table`, or a restore without the functions. */
async function missingOf(
  client: pg.Client,
  { name: schema }: CacheSchema,
  { functions, relations, triggers, columns }: Created,
): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ missing: string }>(
    `with wanted as (select $1::text::regnamespace::oid as schema), entries as (
       select pg_class.oid as id from pg_class, wanted where relnamespace = schema and relname = 'cache_entries'
     )
     select name as missing from unnest($2::text[]) as name
     where not exists (select from pg_proc, wanted where proname = name and pronamespace = schema)
     union all
     select name from unnest($3::text[]) as name
     where not exists (select from pg_class, wanted where relname = name and relnamespace = schema)
     union all
     select name from unnest($4::text[]) as name
     where not exists (
       select from pg_trigger join entries on tgrelid = id join pg_proc on pg_proc.oid = tgfoid, wanted
       where tgname = name and pronamespace = schema
     )
     union all
     select name from unnest($5::text[]) as name
     where not exists (
       select from pg_attribute join entries on attrelid = id where attname = name and not attisdropped
     )`,
    [quoteIdentifier(schema), functions, relations, triggers, columns],
  )
  return new Set(rows.map(({ missing }) => missing))
}

/** Returns names and checksums of the migrations that are recorded as applied. */
async function appliedMigrations(
  client: pg.Client,
  schema: string,
  { owner, isTrusted, hasPolicies }: NonNullable<CacheSchema['migrations']>,
): Promise<[string, string][]> {
  if (hasPolicies && !isTrusted)
    throw new Error(
      `${schema}.cache_migrations belongs to role "${owner}", ` +
        "and its row-level security would run that role's functions",
    )
  try {
    const { rows } = await client.query<{ name: string; checksum: string }>(
      `select name, checksum from ${quoteIdentifier(schema)}.cache_migrations order by name`,
    )
    return rows.map(({ name, checksum }) => [name, checksum])
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === undefinedColumn)
      throw new Error(
        `${schema}.cache_migrations is not the table that migrations are recorded in: ${error.message}`,
        {
          cause: error,
        },
      )
    if (!isDenied(error)) throw error
    throw new Error(
      `the database role may not read ${schema}.cache_migrations, ` +
        `so the state of the migrations is unknown: ${cureOfDenied}`,
      { cause: error },
    )
  }
}

const undefinedColumn = '42703'
