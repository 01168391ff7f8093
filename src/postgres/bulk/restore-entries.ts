import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import copy from 'pg-copy-streams'
import { longTransaction } from '../feed/long-transaction.js'
import { inspectTable } from '../schema/table.js'
import { type EntryColumn, entryColumns } from './entry-columns.js'

export const restoreModes = ['merge', 'missing', 'replace'] as const
/**
 * `merge`: entries that are missing or differ become as they are in the backup. `missing`: only those that are
 * missing; who has expired counts as missing. `replace`: as `merge`, and all others are deleted.
 */
export type RestoreMode = (typeof restoreModes)[number]

export interface RestoreOptions {
  readonly url: string
  readonly stop: AbortSignal
  readonly mode: RestoreMode
  /** Of the entries given, in their order. */
  readonly columns: readonly EntryColumn[]
  /** In COPY's text format. If it throws, nothing is restored. */
  readonly entries: AsyncIterable<Buffer>
  /** All entries have arrived and are written to the table. */
  readonly onStaged: () => void
}

export interface Restored {
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  /** They were in the table already, and stay as they are. */
  readonly unchanged: number
  /** They have expired since the backup, and are left out. */
  readonly expired: number
}

/**
 * Copies the entries into a table that only this session sees, and from there, in the same transaction, to
 * the real one. Its triggers give every row that changes a fresh version and announce it; rows that are equal already are not
 * touched. Rejects with one line.
 */
export async function restoreEntries(options: RestoreOptions): Promise<Restored> {
  const { url, stop, mode, columns, entries, onStaged } = options
  const name = 'caching-layer restore'
  return longTransaction({ url, stop, name, isolation: 'read committed' }, async (client, table) => {
    await checkSchema(client, table)
    await checkRights(client, table, mode)
    const names = columnsToRestore(await entryColumns(client, table), columns)
    const list = names.join(', ')
    await client.query(
      `create temporary table cache_restore on commit drop as select ${list} from ${table} with no data`,
    )
    const staging = copy.from(
      `copy pg_temp.cache_restore (${list}) from stdin with (format text, encoding 'UTF8')`,
    )
    await pipeline(entries, client.query(staging))
    onStaged()
    return apply(client, table, mode, names).catch(explain)
  })
}

/** Without the triggers no sidecar would hear of it. */
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

/** As SQL names them, in the order of the backup. Throws where the table is not the one that was backed up. */
function columnsToRestore(table: readonly EntryColumn[], backup: readonly EntryColumn[]): string[] {
  const only = (these: readonly EntryColumn[], those: readonly EntryColumn[]) =>
    these
      .filter(({ name, type }) => !those.some((other) => other.name === name && other.type === type))
      .map(({ name, type }) => `${name} (${type})`)
      .join(', ')
  const [unknown, lacking] = [only(backup, table), only(table, backup)]
  if (unknown !== '' && lacking === '')
    throw new Error(`the table is older than the backup: it lacks ${unknown}; run "caching-layer migrate"`)
  if (lacking !== '' && unknown === '')
    throw new Error(
      `the table is newer than the backup, which lacks ${lacking}: restore it with the release that made it, then migrate`,
    )
  if (unknown !== '') throw new Error(`the backup has ${unknown}, where the table has ${lacking}`)
  if (backup.length !== table.length) throw new Error('the backup names a column twice')
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
  // The table may have triggers of its owner's, which find their names as they do in other sessions.
  await client.query('set local search_path to default')
  // Nobody else does that for a temporary table.
  await client.query('analyze pg_temp.cache_restore')
  // Else what others insert meanwhile would be neither in the backup nor deleted. Reads go on.
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
 * What need not change is left out before `on conflict` sees it, which would lock its row; and asked again there, because
 * the row may have changed meanwhile. Rows are locked in the order in which the sidecars' writes lock them.
 */
async function upsert(
  client: pg.Client,
  table: string,
  mode: RestoreMode,
  names: readonly string[],
): Promise<Record<'staged' | 'inserted' | 'updated', number>> {
  const others = names.filter((name) => name !== '"key"')
  const of = (table: string) => others.map((name) => `${table}.${name}`).join(', ')
  // As text: for any other type of a column that a team has added, another role's operator could be found.
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
    throw new Error('somebody else holds a lock on the entries; nothing was changed: try again', {
      cause: error,
    })
  throw error
}
