import type pg from 'pg'
import type { Version } from '../../core/entry.js'
import type { EntryList, ListedRows } from '../../core/ports.js'
import type { Attempts } from '../pool/attempts.js'
import type { Database } from '../pool/database.js'
import type { SchemaName } from '../schema/schema-name.js'
import { comparesBytes, entryListStatements } from './entry-list-statements.js'

export interface PostgresEntryListParts {
  readonly database: Pick<Database, 'read'>
  readonly attempts: Attempts
  readonly schema: SchemaName
  /** Maximum time that the server may take for a statement. */
  readonly withinMs: number
}

interface Row {
  readonly key: string
  readonly version: Version
  readonly bytes: number
  readonly remaining_ms: number | null
  readonly groups: readonly string[] | null
  readonly is_listed: boolean
  /** True if the statement did not look at the rows after this one. */
  readonly is_bound: boolean
}

/** The list of entries in the primary. Statements are retried like those of the store. */
export class PostgresEntryList implements EntryList {
  readonly #parts: PostgresEntryListParts

  constructor(parts: PostgresEntryListParts) {
    this.#parts = parts
  }

  async rows(
    { prefix, after }: { readonly prefix: string; readonly after: string },
    limit: number,
  ): Promise<ListedRows> {
    // One more than wanted shows that the list goes on.
    const rows = await this.#read<Row>('rows', [after, patternOf(prefix), limit + 1])
    const shown = rows.slice(0, limit)
    const last = rows.length > limit ? shown.at(-1) : shown.find(({ is_bound }) => is_bound)
    return {
      rows: shown
        .filter(({ is_listed }) => is_listed)
        .map(({ key, version, bytes, remaining_ms, groups }) => ({
          key,
          version,
          bytes,
          remainingMs: remaining_ms ?? undefined,
          groups: groups ?? [],
        })),
      next: last?.key,
    }
  }

  async count(prefix: string): Promise<number> {
    const [row] = await this.#read<{ count: string }>('count', [patternOf(prefix)])
    return Number(row?.count)
  }

  #read<R extends pg.QueryResultRow>(name: 'rows' | 'count', values: unknown[]): Promise<R[]> {
    const { database, attempts, schema, withinMs } = this.#parts
    const attempt = async () => {
      const schemaName = await schema.get()
      const [order] = await database.read<{ compares_bytes: boolean }>(comparesBytes, [schemaName])
      const statements = entryListStatements(schemaName, order?.compares_bytes ?? false)
      return database.read<R>(statements[name], values, withinMs)
    }
    return attempts.run(attempt).catch(schema.explain)
  }
}

/** Returns the pattern for texts that begin with the prefix. */
function patternOf(prefix: string): string {
  return `${prefix.replace(/[\\%_]/g, '\\$&')}%`
}
