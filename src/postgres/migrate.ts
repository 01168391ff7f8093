import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { messageOf } from './errors.js'
import { calledFunctions, createdFunctions, type MigrationFile, migrationFiles } from './migration-files.js'
import {
  actAsOwner,
  type CacheSchema,
  openSchema,
  quoteIdentifier,
  requireNoImpostors,
  requireTrustedOwners,
} from './schema-owner.js'
import { inTransaction } from './transaction.js'

/** `altered`: the file is no longer what was applied. `unknown`: applied by a newer release, no file here. */
export type MigrationState = 'applied' | 'pending' | 'altered' | 'unknown'

export interface Migration {
  readonly name: string
  readonly state: MigrationState
}

export interface MigrateOptions {
  /** The role that owns everything afterwards. By default what exists keeps its owner, and the rest is the session's. */
  readonly owner?: string | undefined
}

const connectTimeoutMs = 3_000
const lockPollMs = 50
const lockWaitMs = 60_000

/** What is applied and what is not, in order. Changes nothing. */
export async function migrationStatus(url: string): Promise<Migration[]> {
  const files = await migrationFiles()
  return withClient(url, (client) =>
    inTransaction(client, async () => status(client, await openSchema(client), files)),
  )
}

/**
 * Applies what is pending, each file in a transaction of its own, and answers with those applied now. Any
 * number of processes may call this at once. Rejects with one line that says what to do.
 */
export async function migrate(url: string, { owner }: MigrateOptions = {}): Promise<string[]> {
  const files = await migrationFiles()
  return withClient(url, async (client) => {
    const applied: string[] = []
    const look = async () => pending(await status(client, await openOwnSchema(client, owner, files), files))
    for (const name of await inTransaction(client, look)) {
      // Somebody else may have applied it while we waited for our turn.
      const appliedNow = await inTurn(client, async () => {
        const schema = await openOwnSchema(client, owner, files)
        const file = files.find((file) => file.name === name)
        if (file === undefined || !pending(await status(client, schema, files)).includes(name)) return false
        await requireNoImpostors(client, schema.name, calledFunctions(files))
        await apply(client, schema, file)
        return true
      })
      if (appliedNow) applied.push(name)
    }
    return applied
  })
}

/** The schema, if what is in it belongs to a role that may be trusted with the session's rights. */
async function openOwnSchema(
  client: pg.Client,
  owner: string | undefined,
  files: readonly MigrationFile[],
): Promise<CacheSchema> {
  const schema = await openSchema(client)
  if (owner === undefined) requireTrustedOwners(schema)
  else await actAsOwner(client, schema, owner, createdFunctions(files))
  return schema
}

function pending(migrations: readonly Migration[]): string[] {
  const altered = migrations.find(({ state }) => state === 'altered')
  if (altered) throw new Error(`sql/${altered.name} is not what was applied to this database`)
  return migrations.filter(({ state }) => state === 'pending').map(({ name }) => name)
}

async function status(
  client: pg.Client,
  { name: schema, migrations: table }: CacheSchema,
  files: readonly MigrationFile[],
): Promise<Migration[]> {
  const applied = new Map(table ? await appliedMigrations(client, schema, table) : [])
  const known = files.map(({ name, checksum }): Migration => {
    const before = applied.get(name)
    applied.delete(name)
    return { name, state: before === undefined ? 'pending' : before === checksum ? 'applied' : 'altered' }
  })
  return [...known, ...[...applied.keys()].map((name): Migration => ({ name, state: 'unknown' }))]
}

/** Names and checksums. */
async function appliedMigrations(
  client: pg.Client,
  schema: string,
  { owner, isTrusted, hasPolicies }: NonNullable<CacheSchema['migrations']>,
): Promise<[string, string][]> {
  if (hasPolicies && !isTrusted)
    throw new Error(
      `${schema}.cache_migrations belongs to role "${owner}", and its row-level security would run that role's functions`,
    )
  try {
    const { rows } = await client.query<{ name: string; checksum: string }>(
      `select name, checksum from ${quoteIdentifier(schema)}.cache_migrations order by name`,
    )
    return rows.map(({ name, checksum }) => [name, checksum])
  } catch (error) {
    if (!isDenied(error)) throw error
    throw new Error(
      `the database role may not read ${schema}.cache_migrations, so it is not known what is applied: ${cureOfDenied}`,
      { cause: error },
    )
  }
}

async function apply(
  client: pg.Client,
  { name: schema, migrations }: CacheSchema,
  { name, sql, checksum }: MigrationFile,
): Promise<void> {
  try {
    // The files name neither the schema nor pg_catalog. Nothing may be found in a temporary schema first.
    await client.query(
      `select set_config('search_path', $1, true), set_config('lock_timeout', '10s', true)`,
      [`${quoteIdentifier(schema)}, pg_temp`],
    )
    if (migrations === undefined)
      await client.query(`create table cache_migrations (
        name text primary key, checksum text not null, applied_at timestamptz not null default now())`)
    await client.query(sql)
    await client.query('insert into cache_migrations (name, checksum) values ($1, $2)', [name, checksum])
    // A table that another role made in the meantime would have been taken for ours.
    requireTrustedOwners(await openSchema(client))
  } catch (error) {
    if (isDenied(error)) {
      throw new Error(`the database role may not apply sql/${name} (${messageOf(error)}): ${cureOfDenied}`, {
        cause: error,
      })
    }
    throw new Error(`sql/${name} could not be applied: ${messageOf(error)}`, { cause: error })
  }
}

const cureOfDenied = 'run "caching-layer migrate" as the owner, then start with --no-migrate'

function isDenied(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '42501'
}

/**
 * Runs `work` in a transaction, one process at a time. The lock is the transaction's: one of the session would
 * stay behind, on a connection that nobody knows, where a pooler in transaction mode is in between. It is
 * polled, each time in a transaction of its own: who waits inside pg_advisory_lock would block CREATE INDEX
 * CONCURRENTLY, and wait for it.
 */
async function inTurn<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + lockWaitMs
  for (;;) {
    const done = await inTransaction(client, async () => {
      const { rows } = await client.query<{ locked: boolean }>(
        `select pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(
           pg_catalog.concat('caching-layer migrations in '::text, pg_catalog.current_schema()), 0::pg_catalog.int8)) as locked`,
      )
      return rows[0]?.locked ? { result: await work() } : undefined
    })
    if (done) return done.result
    if (performance.now() > deadlineMs) throw new Error('another process has been migrating for too long')
    await sleep(lockPollMs)
  }
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'caching-layer migrate',
    connectionTimeoutMillis: connectTimeoutMs,
    // Long enough for a large table, and an end for a server that has fallen silent.
    query_timeout: 600_000,
  })
  // Lost while idle: the next query says so.
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
    // Not waited for: a connection that was refused within TLS never says that it has ended.
    end()
    throw error
  }
}
