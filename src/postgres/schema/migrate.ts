import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { newClient } from '../pool/connection.js'
import { messageOf } from '../pool/errors.js'
import { inTransaction } from '../pool/transaction.js'
import {
  type Created,
  calledFunctions,
  createdBy,
  type MigrationFile,
  migrationFiles,
  repeatable,
} from './migration-files.js'
import {
  actAsOwner,
  type CacheSchema,
  lookAtSchema,
  openSchema,
  quoteIdentifier,
  requireNoImpostors,
  requireTrustedOwners,
} from './schema-owner.js'
import { movedFault, movedFrom } from './table-fault.js'
import { inspectTable } from './table-inspection.js'

/**
 * State of a migration. `altered`: the file differs from what was applied. `unknown`: applied by a newer release, and
 * this one has no such file. `incomplete`: applied, but something that it created no longer exists.
 */
export type MigrationState = 'applied' | 'pending' | 'incomplete' | 'altered' | 'unknown'

export interface Migration {
  readonly name: string
  readonly state: MigrationState
}

export interface MigrateOptions {
  /**
   * Role that owns everything afterwards. By default, existing objects keep their owner, and new ones belong to the
   * session.
   */
  readonly owner?: string | undefined
}

const connectTimeoutMs = 3_000
const lockPollMs = 50
const lockWaitMs = 60_000

/** Returns the state of every migration, in order. Changes nothing. */
export async function migrationStatus(url: string): Promise<Migration[]> {
  const files = await migrationFiles()
  return withClient(url, (client) =>
    inTransaction(client, async () => status(client, await openSchema(client), files)),
  )
}

/** Returns the names of the files that `migrate` would apply. Changes nothing, and rejects as `migrate` does. */
export async function pendingMigrations(url: string): Promise<string[]> {
  const files = await migrationFiles()
  return toApply(await migrationStatus(url), files).map(({ name }) => name)
}

/**
 * Applies pending migrations in one transaction, and returns the names of the files that it applied. If something that
 * an earlier file created is gone, that file and all later ones are applied again. Any number of processes may call
 * this at once. Rejects with an Error whose message is one line that says what to do.
 */
export async function migrate(url: string, { owner }: MigrateOptions = {}): Promise<string[]> {
  const files = await migrationFiles()
  return withClient(url, async (client) => {
    const look = async () => {
      const schema = await openSchema(client, { isOwnerRequired: owner === undefined })
      return toApply(await status(client, schema, files), files)
    }
    if ((await inTransaction(client, look)).length === 0 && owner === undefined) return []
    return inTurn(client, async () => {
      const schema = await openOwnSchema(client, owner, files)
      // Another process may have applied them while this one waited for its turn.
      const pending = toApply(await status(client, schema, files), files)
      if (pending.length > 0) await apply(client, schema, pending)
      return pending.map(({ name }) => name)
    })
  })
}

/**
 * Opens the schema, and locks the table of migrations, creating it if necessary. Rejects if something in the schema
 * could run another role's code with the rights of this session.
 */
async function openOwnSchema(
  client: pg.Client,
  owner: string | undefined,
  files: readonly MigrationFile[],
): Promise<CacheSchema> {
  const schema = await openSchema(client, { isOwnerRequired: owner === undefined })
  if (schema.entries === undefined) await requireNotMoved(client, schema.name)
  if (owner === undefined) await requireTrustedOwners(client, schema)
  const created = createdBy(files)
  if (owner !== undefined) {
    await actAsOwner(client, schema, owner, created)
    await requireTrustedOwners(client, await lookAtSchema(client, schema.name))
  }
  await requireNoImpostors(client, schema.name, {
    functions: calledFunctions(files),
    relations: created.relations,
  })
  const table = `${quoteIdentifier(schema.name)}.cache_migrations`
  const lock = schema.migrations
    ? `lock table ${table} in share update exclusive mode`
    : `create table ${table} (
         name text primary key, checksum text not null, applied_at timestamptz not null default now())`
  await client.query(lock).catch((error: unknown) => {
    if (!isDenied(error)) throw error
    throw new Error(
      `the database role may not change the schema ${schema.name} (${messageOf(error)}): ${cureOfDenied}`,
      {
        cause: error,
      },
    )
  })
  return lookAtSchema(client, schema.name)
}

/** Throws if the table was moved to another schema: creating a second one here would lose sight of its entries. */
async function requireNotMoved(client: pg.Client, schema: string): Promise<void> {
  const { rows } = await client.query<{ moved: string }>(movedFrom('$1::text'), [schema])
  if (rows[0]) throw movedFault(schema, rows[0].moved)
}

/**
 * Returns the first file that is not applied, or incomplete, and all files after it, because later files replace
 * functions of earlier ones. Throws if a file was altered.
 */
function toApply(migrations: readonly Migration[], files: readonly MigrationFile[]): MigrationFile[] {
  const altered = migrations.find(({ state }) => state === 'altered')
  if (altered) throw new Error(`sql/${altered.name} differs from what was applied to this database`)
  const first = migrations.find(({ state }) => state === 'pending' || state === 'incomplete')
  return first ? files.filter(({ name }) => name >= first.name) : []
}

async function status(
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

async function apply(
  client: pg.Client,
  { name: schema, entries }: CacheSchema,
  pending: readonly MigrationFile[],
): Promise<void> {
  // The files name neither the schema nor pg_catalog. pg_temp comes last, so that nothing is found in a temporary
  // schema first.
  await client.query("select set_config('search_path', $1, true)", [`${quoteIdentifier(schema)}, pg_temp`])
  for (const { name, sql, checksum } of pending) {
    try {
      await client.query(repeatable(sql))
      await client.query(
        `insert into cache_migrations (name, checksum) values ($1, $2)
         on conflict (name) do update set checksum = excluded.checksum, applied_at = default`,
        [name, checksum],
      )
    } catch (error) {
      if (isDenied(error)) {
        throw new Error(
          `the database role may not apply sql/${name} (${messageOf(error)}): ${cureOfDenied}`,
          {
            cause: error,
          },
        )
      }
      throw new Error(`sql/${name} could not be applied: ${messageOf(error)}`, { cause: error })
    }
  }
  await inspectTable(
    async (sql) => (await client.query(sql)).rows,
    `${quoteIdentifier(schema)}.cache_entries`,
  )
  if (entries !== undefined)
    await client.query(
      `select setval('cache_version', newest) from (select max(version) >> 24 as newest from cache_entries) as versions
       where newest > (select last_value from cache_version)`,
    )
  // Checked again: another role may have created a table in the meantime, which would have been taken for ours.
  await requireTrustedOwners(client, await lookAtSchema(client, schema))
}

const undefinedColumn = '42703'
const cureOfDenied = 'run "caching-layer migrate" as the owner, then start with --no-migrate'

function isDenied(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '42501'
}

/** SQLSTATEs that mean that this process lost a race for the table of migrations, and may try again. */
const othersAreMigrating: ReadonlySet<string> = new Set([
  '55P03', // lock_not_available
  '23505', // unique_violation: another process created the table at the same moment
  '42P07', // duplicate_table
  '40P01', // deadlock_detected
])

/**
 * Runs `work`, which locks the table of migrations, in a transaction, and again if another process was quicker. The
 * table's own lock is used because any role may take an advisory lock, and so block migrations; this lock needs rights
 * on the table.
 */
async function inTurn<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + lockWaitMs
  for (;;) {
    try {
      return await inTransaction(client, work)
    } catch (error) {
      const isRace = error instanceof pg.DatabaseError && othersAreMigrating.has(error.code ?? '')
      if (!isRace) throw error
      if (performance.now() > deadlineMs)
        throw new Error(
          `another process is applying migrations, or holds a lock, for too long: ${error.message}`,
          {
            cause: error,
          },
        )
      await sleep(lockPollMs)
    }
  }
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = newClient(url, {
    application_name: 'caching-layer migrate',
    connectionTimeoutMillis: connectTimeoutMs,
    // Long enough for a large table, but bounded in case the server no longer answers.
    query_timeout: 600_000,
  })
  // If the connection is lost while idle, the next query reports it.
  client.on('error', () => undefined)
  const end = () => client.end().catch(() => undefined)
  try {
    await client.connect().catch((error: unknown) => {
      throw new Error(messageOf(error), { cause: error })
    })
    const result = await work(client)
    await end()
    return result
  } catch (error) {
    // Not awaited: a connection that was refused within TLS never emits its end.
    end()
    throw error
  }
}
