import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'

export interface MigrationFile {
  readonly name: string
  readonly sql: string
  readonly checksum: string
  /** Checksum that releases before 0.2 recorded for a file with CRLF. */
  readonly crlfChecksum: string
}

/** Folder of the migrations. This file is at the same depth below `src/` and `dist/`. */
const sqlFolder = new URL('../../../sql/', import.meta.url)

/** Reads the migrations, in the order in which they are applied. */
export async function migrationFiles(folder = sqlFolder): Promise<MigrationFile[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{4}_.*\.sql$/.test(name)).sort()
  return Promise.all(
    names.map(async (name) => {
      // Git on Windows may check files out with CRLF. The checksum must be the same on every system.
      const sql = (await readFile(new URL(name, folder), 'utf8')).replaceAll('\r\n', '\n')
      return { name, sql, checksum: checksumOf(sql), crlfChecksum: checksumOf(sql.replaceAll('\n', '\r\n')) }
    }),
  )
}

function checksumOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Names of the objects that the files create. */
export interface Created {
  readonly functions: readonly string[]
  /** Tables and sequences. */
  readonly relations: readonly string[]
  /** Triggers of cache_entries. */
  readonly triggers: readonly string[]
  /** Columns that are added to cache_entries. */
  readonly columns: readonly string[]
}

export function createdBy(files: readonly MigrationFile[]): Created {
  return {
    functions: unique(files, /\bcreate (?:or replace )?function (\w+)/g),
    relations: unique(files, /\bcreate (?:unlogged )?(?:table|sequence) (?:if not exists )?(\w+)/g),
    triggers: unique(files, /\bcreate trigger (\w+)[^;]*? on cache_entries\b/g),
    columns: unique(files, /\badd column (\w+)/g),
  }
}

/** Returns the names of the columns with which the files create the table. */
export function columnsOf(table: string, files: readonly MigrationFile[]): string[] {
  const [, definition = ''] = files
    .map(({ sql }) => sql)
    .join('\n')
    .split(`create table ${table} (\n`)
  const [columns = ''] = definition.split('\n);')
  return columns.split('\n').map((line) => line.trim().split(' ')[0] as string)
}

/**
 * Rewrites the statements so that they also succeed if some of the objects that they create exist already: after a
 * restore of the table, or after a `drop table`, which leaves the functions.
 */
export function repeatable(sql: string): string {
  return sql
    .replaceAll(/\bcreate (function|trigger)\b/g, 'create or replace $1')
    .replaceAll(/\bcreate (table|unlogged table|sequence) (?!if not exists)/g, 'create $1 if not exists ')
    .replaceAll(/\badd column (?!if not exists)/g, 'add column if not exists ')
}

/** Returns the names of everything that the files call or define like a function. */
export function calledFunctions(files: readonly MigrationFile[]): string[] {
  return unique(files, /\b([a-z_]\w*) ?\(/g)
}

function unique(files: readonly MigrationFile[], pattern: RegExp): string[] {
  return [...new Set(files.flatMap(({ sql }) => [...sql.matchAll(pattern)].map(([, name = '']) => name)))]
}
