import type pg from 'pg'
import { messageOf } from '../pool/errors.js'
import { inTransaction } from '../pool/transaction.js'
import {
  calledFunctions,
  createdBy,
  type MigrationFile,
  migrationFiles,
  repeatable,
} from './migration-files.js'
import { cureOfDenied, inMigrationSession, inTurn, isDenied } from './migration-session.js'
import { statusOf, toApply } from './migration-status.js'
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

export interface MigrateOptions {
  /**
   * Role that owns everything afterwards. By default, existing objects keep their owner, and new ones belong to the
   * session.
   */
  readonly owner?: string | undefined
}

/**
 * Applies pending migrations in one transaction, and returns the names of the files that it applied. If something that
 * an earlier file created is gone, that file and all later ones are applied again. Any number of processes may call
 * this at once. Rejects with an Error whose message is one line that says what to do.
 */
export async function migrate(url: string, { owner }: MigrateOptions = {}): Promise<string[]> {
  const files = await migrationFiles()
  return inMigrationSession(url, async (client) => {
    const look = async () => {
      const schema = await openSchema(client, { isOwnerRequired: owner === undefined })
      return toApply(await statusOf(client, schema, files), files)
    }
    if ((await inTransaction(client, look)).length === 0 && owner === undefined) return []
    return inTurn(client, async () => {
      const schema = await openOwnSchema(client, owner, files)
      // Another process may have applied them while this one waited for its turn.
      const pending = toApply(await statusOf(client, schema, files), files)
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
 * Locks the table before anything else. Otherwise a migration and a writer can wait for each other, until the writer's
 * lock timeout:
 *
 *   1. A writer has locked the table.              3. The writer draws a version: it waits for the migration.
 *   2. A migration alters the sequence.            4. The migration alters the table: it waits for the writer.
 */
async function lockEntries(client: pg.Client): Promise<void> {
  await client.query('lock table cache_entries in access exclusive mode')
}

async function apply(
  client: pg.Client,
  { name: schema, entries }: CacheSchema,
  pending: readonly MigrationFile[],
): Promise<void> {
  // The files name neither the schema nor pg_catalog. pg_temp comes last, so that nothing is found in a temporary
  // schema first.
  await client.query("select set_config('search_path', $1, true)", [`${quoteIdentifier(schema)}, pg_temp`])
  if (entries !== undefined) await lockEntries(client)
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
