import type { BackupColumn } from '../../src/postgres/bulk/backup-columns.js'
import { copyOut } from '../../src/postgres/bulk/copy-out.js'
import {
  type Restored,
  type RestoreMode,
  type RestoreOptions,
  restoreEntries,
} from '../../src/postgres/bulk/restore-entries.js'
import type { Announcements } from './announcements.js'
import type { FreshDatabase } from './database.js'
import { joined, pieces } from './pieces.js'

export interface SavedEntries {
  readonly columns: readonly BackupColumn[]
  readonly entries: Buffer
}

/** Returns a backup of the entries of a database. */
export function save(url: string, stop = new AbortController().signal): Promise<SavedEntries> {
  return copyOut({ url, stop }, async ({ columns, entries }) => ({ columns, entries: await joined(entries) }))
}

export function bringBack(
  url: string,
  { columns, entries }: SavedEntries,
  mode: RestoreMode,
  options: Partial<RestoreOptions> = {},
): Promise<Restored> {
  return restoreEntries({
    url,
    mode,
    stop: new AbortController().signal,
    columns,
    entries: pieces(entries, 1_000),
    onStaged: () => undefined,
    ...options,
  })
}

/** Saves entries, and then changes them: a and b stay, c is changed, d is deleted, e is added. */
export async function savedAndChanged(
  { url, query }: FreshDatabase,
  announced: Announcements,
): Promise<SavedEntries> {
  await query('delete from cache_entries')
  await query(`insert into cache_entries (key, value, content_type, expires_at, updated_at) values
    ('a', 'same', null, null, '2020-01-01'), ('b', '1', 'application/json', '2100-01-01 00:00Z', '2020-01-02'),
    ('c', 'saved', null, '2100-01-02 00:00Z', '2020-01-03'), ('d', '{"saved":1}', 'application/json', null, '2020-01-04')`)
  const saved = await save(url)
  await query("update cache_entries set value = 'changed', expires_at = null where key = 'c'")
  await query("delete from cache_entries where key = 'd'")
  await query("insert into cache_entries (key, value) values ('e', 'new')")
  await announced.payloads()
  return saved
}

export async function versionsIn({ query }: FreshDatabase): Promise<Record<string, string>> {
  const { rows } = await query<{ key: string; version: string }>('select key, version from cache_entries')
  return Object.fromEntries(rows.map(({ key, version }) => [key, version]))
}

/** All that a backup has of the table, in words. */
export async function entriesIn({ query }: FreshDatabase): Promise<Record<string, string | null>[]> {
  const { rows } = await query<Record<string, string | null>>(
    `select key, value, content_type, (expires_at at time zone 'UTC')::text as expires_at, updated_at::text
     from cache_entries order by key collate "C"`,
  )
  return rows
}
