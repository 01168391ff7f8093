import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import copy from 'pg-copy-streams'
import { BindingSession } from '../bindings/binding-session.js'
import { inspectTable } from '../schema/table-inspection.js'
import { type BackupColumn, backupColumns } from './backup-columns.js'
import { longTransaction } from './long-transaction.js'

export const restoreModes = ['merge', 'missing', 'replace'] as const
/**
 * Mode of a restore. `merge`: writes the entries of the backup that are missing in the table or differ. `missing`:
 * writes only those that are missing; an expired entry counts as missing. `replace`: does the same as `merge`, and
 * deletes all other entries.
 */
export type RestoreMode = (typeof restoreModes)[number]

export interface RestoreOptions {
  readonly url: string
  readonly stop: AbortSignal
  readonly mode: RestoreMode
  /** Columns of `entries`, in their order. */
  readonly columns: readonly BackupColumn[]
  /** Entries in COPY's text format. If iterating throws, nothing is restored. */
  readonly entries: AsyncIterable<Buffer>
  /** Called when all entries have been received, and writing them to the table begins. */
  readonly onStaged: () => void
  /** Restores bindings, in the same transaction. Called when the entries have been written. */
  readonly bind?: ((session: BindingSession) => Promise<void>) | undefined
}

export interface Restored {
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  /** Number of entries that need no write: they are equal already, or exist and the mode is `missing`. */
  readonly unchanged: number
  /** Number of entries that have expired since the backup, and are left out. */
  readonly expired: number
}

/**
 * Copies the entries into a temporary table, and from there, in the same transaction, to the real one. The triggers of
 * the real table give every changed row a fresh version, and announce it. Rows that are equal already are not touched.
 * Rejects with an Error whose message is one line.
 */
export async function restoreEntries(options: RestoreOptions): Promise<Restored> {
  const { url, stop, mode, columns, entries, onStaged, bind } = options
  const name = 'caching-layer restore'
  return longTransaction({ url, stop, name, isolation: 'read committed' }, async (client, table, schema) => {
    await checkSchema(client, table)
    await checkRights(client, table, mode)
    const session = bind && (await BindingSession.of(client, schema))
    const names = columnsToRestore(await backupColumns(client, table), columns)
    const list = names.join(', ')
    await client.query(
      `create temporary table cache_restore on commit drop as select ${list} from ${table} with no data`,
    )
    const staging = copy.from(
      `copy pg_temp.cache_restore (${list}) from stdin with (format text, encoding 'UTF8')`,
    )
    await pipeline(entries, client.query(staging))
    onStaged()
    const restored = await apply(client, table, mode, names).catch(explain)
    if (session) {
      await client.query('set local search_path to pg_catalog, pg_temp')
      await bind?.(session)
    }
    return restored
  })
}

/**
 * Rejects if the table cannot be cached, for example because triggers are missing: no sidecar would learn of the
 * changes.
 */
async function checkSchema(client: pg.Client, table: string): Promise<void> {
  await inspectTable(async (sql) => (await client.query(sql)).rows as never, table)
}

async function checkRights(client: pg.Client, table: string, mode: RestoreMode): Promise<void> {
  const needed = ['SELECT', 'INSERT', 'UPDATE', ...(mode === 'replace' ? ['DELETE'] : [])]
  const { rows } = await client.query<{ role: string; missing: string[] }>(
    `select current_user as role, array(
       select needed || ' on table cache_entries' from unnest($1::text[]) as needed
       where not has_table_privilege($2, needed)
       union all
       select 'TEMPORARY on database ' || current_database()
       where not has_database_privilege(current_database(), 'TEMPORARY')
     ) as missing`,
    [needed, table],
  )
  const [{ role, missing } = { role: '', missing: [] }] = rows
  if (missing.length > 0) throw new Error(`the database role "${role}" needs the right ${missing.join(', ')}`)
}

/** Columns that backups of earlier releases lack. Their rows get the default. */
const columnsOfLaterReleases: readonly string[] = ['groups']

/**
 * Returns the quoted column names in the order of the backup. Throws if the table has other columns than the backup.
 */
function columnsToRestore(table: readonly BackupColumn[], backup: readonly BackupColumn[]): string[] {
  const only = (these: readonly BackupColumn[], those: readonly BackupColumn[]) =>
    these
      .filter(({ name, type }) => !those.some((other) => other.name === name && other.type === type))
      .map(({ name, type }) => `${name} (${type})`)
      .join(', ')
  const needed = table.filter(({ name }) => !columnsOfLaterReleases.includes(name))
  const [unknown, lacking] = [only(backup, table), only(needed, backup)]
  if (unknown !== '' && lacking === '')
    throw new Error(`the table is older than the backup: it lacks ${unknown}; run "caching-layer migrate"`)
  if (lacking !== '' && unknown === '')
    throw new Error(
      `the table is newer than the backup, which lacks ${lacking}: ` +
        'restore it with the release that made it, then migrate',
    )
  if (unknown !== '') throw new Error(`the backup has ${unknown}, where the table has ${lacking}`)
  if (new Set(backup.map(({ name }) => name)).size < backup.length)
    throw new Error('the backup names a column twice')
  return backup.map(({ name }) => pg.escapeIdentifier(name))
}

async function apply(
  client: pg.Client,
  table: string,
  mode: RestoreMode,
  names: readonly string[],
): Promise<Restored> {
  const expired = await client.query(
    'delete from pg_temp.cache_restore where expires_at <= statement_timestamp()',
  )
  // The owner may have added triggers. They must find their names by the same search path as in other sessions.
  await client.query('set local search_path to default')
  // Autovacuum cannot analyze a temporary table.
  await client.query('analyze pg_temp.cache_restore')
  // Otherwise a row that somebody inserts meanwhile would be neither in the backup nor deleted. Reads are not blocked.
  if (mode === 'replace') await client.query(`lock table ${table} in share row exclusive mode`)
  const deleted = mode === 'replace' ? await deleteOthers(client, table) : 0
  const { staged, inserted, updated } = await upsert(client, table, mode, names)
  return {
    inserted,
    updated,
    deleted,
    unchanged: staged - inserted - updated,
    expired: expired.rowCount ?? 0,
  }
}

async function deleteOthers(client: pg.Client, table: string): Promise<number> {
  const { rowCount } = await client.query(
    `delete from ${table} as entry
     where not exists (select from pg_temp.cache_restore as staged where staged.key = entry.key)`,
  )
  return rowCount ?? 0
}

/**
 * Writes the staged entries that `mode` asks for. Entries that need no change are filtered out before `on conflict`,
 * which would lock their rows. `on conflict` tests the condition again, because the row may have changed meanwhile.
 * Rows are locked in the same order as by the sidecars' writes, so that the two do not deadlock.
 */
async function upsert(
  client: pg.Client,
  table: string,
  mode: RestoreMode,
  names: readonly string[],
): Promise<Record<'staged' | 'inserted' | 'updated', number>> {
  const others = names.filter((name) => name !== '"key"')
  const of = (table: string) => others.map((name) => `${table}.${name}`).join(', ')
  // Compared as text: a team may have added a column of another type, and another role's operator could be found for
  // it.
  const textOf = (table: string) => others.map((name) => `${table}.${name}::text`).join(', ')
  const hasExpired = 'entry.expires_at <= statement_timestamp()'
  const isWanted = (row: string) =>
    mode === 'missing' ? hasExpired : `(${textOf('entry')}) is distinct from (${textOf(row)})`
  const { rows } = await client.query<Record<'staged' | 'inserted' | 'updated', string>>(
    `with written as (
       insert into ${table} as entry (${names.join(', ')})
       select staged.key, ${of('staged')}
       from pg_temp.cache_restore as staged left join ${table} as entry using (key)
       where entry.key is null or ${isWanted('staged')}
       order by staged.key collate "C"
       on conflict (key) do update set ${others.map((name) => `${name} = excluded.${name}`).join(', ')}
       where ${isWanted('excluded')}
       returning xmax = 0 as is_new -- An updated row carries the lock of its old version.
     )
     select (select pg_catalog.count(*) from pg_temp.cache_restore) as staged,
            pg_catalog.count(*) filter (where is_new) as inserted,
            pg_catalog.count(*) filter (where not is_new) as updated
     from written`,
  )
  const [{ staged, inserted, updated } = { staged: 0, inserted: 0, updated: 0 }] = rows
  return { staged: Number(staged), inserted: Number(inserted), updated: Number(updated) }
}

const lockNotAvailable = '55P03'
const deadlockDetected = '40P01'

function explain(error: unknown): never {
  if (error instanceof pg.DatabaseError && [lockNotAvailable, deadlockDetected].includes(error.code ?? ''))
    throw new Error('another session holds a lock on the entries; nothing was changed: try again', {
      cause: error,
    })
  throw error
}
