import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'

export interface MigrationFile {
  readonly name: string
  readonly sql: string
  readonly checksum: string
}

/** The same depth below `src/` and `dist/`. */
const folder = new URL('../../sql/', import.meta.url)

/** Reads the migrations in `sql/`, in the order in which they are applied. */
export async function migrationFiles(): Promise<MigrationFile[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{4}_.*\.sql$/.test(name)).sort()
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(new URL(name, folder), 'utf8')
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

/** Returns the names of the functions that the files create. */
export function createdFunctions(files: readonly MigrationFile[]): string[] {
  return unique(files, /\bcreate (?:or replace )?function (\w+)/g)
}

/** Returns the names of everything that the files call or define like a function. */
export function calledFunctions(files: readonly MigrationFile[]): string[] {
  return unique(files, /\b([a-z_]\w*) ?\(/g)
}

function unique(files: readonly MigrationFile[], pattern: RegExp): string[] {
  return [...new Set(files.flatMap(({ sql }) => [...sql.matchAll(pattern)].map(([, name = '']) => name)))]
}
