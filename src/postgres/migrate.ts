import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { messageOf } from './errors.js'

/** `altered`: the file is no longer what was applied. `unknown`: applied by a newer release, no file here. */
export type MigrationState = 'applied' | 'pending' | 'altered' | 'unknown'

export interface Migration {
  readonly name: string
  readonly state: MigrationState
}

interface MigrationFile {
  readonly name: string
  readonly sql: string
  readonly checksum: string
}

/** The same depth below `src/` and `dist/`. */
const folder = new URL('../../sql/', import.meta.url)
const connectTimeoutMs = 3_000
const lockPollMs = 50
const lockWaitMs = 60_000

/** What is applied and what is not, in order. Changes nothing. */
export async function migrationStatus(url: string): Promise<Migration[]> {
  const files = await migrationFiles()
  return withClient(url, (client) => status(client, files))
}

/**
 * Applies what is pending, each file in a transaction of its own, and answers with those applied now. Any
 * number of processes may call this at once. Rejects with one line that says what to do.
 */
export async function migrate(url: string): Promise<string[]> {
  const files = await migrationFiles()
  return withClient(url, async (client) => {
    const applied: string[] = []
    for (const name of pending(await status(client, files))) {
      // Somebody else may have applied it while we waited for our turn.
      const appliedNow = await inTurn(client, async () => {
        const file = files.find((file) => file.name === name)
        if (file === undefined || !pending(await status(client, files)).includes(name)) return false
        await apply(client, file)
        return true
      })
      if (appliedNow) applied.push(name)
    }
    return applied
  })
}

function pending(migrations: readonly Migration[]): string[] {
  const altered = migrations.find(({ state }) => state === 'altered')
  if (altered) throw new Error(`sql/${altered.name} is not what was applied to this database`)
  return migrations.filter(({ state }) => state === 'pending').map(({ name }) => name)
}

async function migrationFiles(): Promise<MigrationFile[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{4}_.*\.sql$/.test(name)).sort()
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(new URL(name, folder), 'utf8')
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

async function status(client: pg.Client, files: readonly MigrationFile[]): Promise<Migration[]> {
  const {
    rows: [{ present }],
  } = await client.query("select to_regclass('cache_migrations') is not null as present")
  const { rows } = present
    ? await client.query<{ name: string; checksum: string }>(
        'select name, checksum from cache_migrations order by name',
      )
    : { rows: [] }
  const applied = new Map(rows.map(({ name, checksum }) => [name, checksum]))
  const known = files.map(({ name, checksum }): Migration => {
    const before = applied.get(name)
    applied.delete(name)
    return { name, state: before === undefined ? 'pending' : before === checksum ? 'applied' : 'altered' }
  })
  return [...known, ...[...applied.keys()].map((name): Migration => ({ name, state: 'unknown' }))]
}

async function apply(client: pg.Client, { name, sql, checksum }: MigrationFile): Promise<void> {
  try {
    // Beside the table where there is one. Nothing may be found in a temporary schema first.
    await client.query(
      `select set_config('search_path', quote_ident(coalesce(
                (select nspname from pg_class join pg_namespace on pg_namespace.oid = relnamespace
                 where pg_class.oid = to_regclass('cache_entries')), current_schema())) || ', pg_temp', true),
              set_config('lock_timeout', '10s', true)`,
    )
    await client.query(`create table if not exists cache_migrations (
      name text primary key, checksum text not null, applied_at timestamptz not null default now())`)
    await client.query(sql)
    await client.query('insert into cache_migrations (name, checksum) values ($1, $2)', [name, checksum])
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === '42501') {
      throw new Error(
        `the database role may not apply sql/${name} (${error.message}): ` +
          'run "caching-layer migrate" as the owner, then start with --no-migrate',
        { cause: error },
      )
    }
    throw new Error(`sql/${name} could not be applied: ${messageOf(error)}`, { cause: error })
  }
}

/**
 * Runs `work` in a transaction, one process at a time. The lock is the transaction's: one of the session would
 * stay behind, on a connection that nobody knows, where a pooler in transaction mode is in between. It is
 * polled, each time in a transaction of its own: who waits inside pg_advisory_lock would block CREATE INDEX
 * CONCURRENTLY, and wait for it.
 */
async function inTurn<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  const key = "hashtextextended('caching-layer migrations in ' || current_schema(), 0)"
  const deadlineMs = performance.now() + lockWaitMs
  for (;;) {
    await client.query('begin')
    try {
      const { rows } = await client.query<{ locked: boolean }>(
        `select pg_try_advisory_xact_lock(${key}) as locked`,
      )
      if (rows[0]?.locked) {
        const result = await work()
        await client.query('commit')
        return result
      }
      await client.query('rollback')
    } catch (error) {
      await client.query('rollback').catch(() => undefined)
      throw error
    }
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
