import type { Version } from '../../core/entry.js'
import type { EntryRemover, Removal, Selection } from '../../core/writes/invalidation.js'
import type { Attempts } from '../pool/attempts.js'
import type { Database } from '../pool/database.js'
import type { SchemaName } from '../schema/schema-name.js'
import { quoteIdentifier } from '../schema/schema-owner.js'

export interface PostgresEntryRemoverParts {
  readonly database: Pick<Database, 'decide'>
  readonly attempts: Attempts
  readonly schema: SchemaName
  /** Maximum time that the server may take for a statement. */
  readonly withinMs: number
}

interface Row {
  readonly key: string
  readonly version: Version
  readonly removed: string
}

/** The change feed names as many keys of one statement. */
const maxNamed = 10_000

/** Removes entries by key, group or prefix, each selection in one statement. */
export class PostgresEntryRemover implements EntryRemover {
  readonly #parts: PostgresEntryRemoverParts

  constructor(parts: PostgresEntryRemoverParts) {
    this.#parts = parts
  }

  async remove({ keys, groups, prefix, all }: Selection): Promise<Removal> {
    const { database, attempts, schema, withinMs } = this.#parts
    const given = [givenOf(keys), givenOf(groups), prefix ?? null, all]
    const attempt = async () => {
      const schemaName = quoteIdentifier(await schema.get())
      const values = [`${schemaName}.cache_entries`, ...given]
      return database.decide<Row>(statement(schemaName), values, () => true, withinMs)
    }
    const rows = await attempts.run(attempt).catch(schema.explain)
    const count = Number(rows[0]?.removed ?? 0)
    return { count, rows: count > rows.length ? undefined : rows }
  }
}

/**
 * Returns the statement, which names some of the removed entries, and returns in each row how many there were. It also
 * invalidates what sidecars hold of bound tables.
 */
function statement(schema: string): string {
  const selection = '$1::regclass, $2::text[], $3::text[], $4::text, $5::boolean'
  return `with bound as materialized (select ${schema}.cache_invalidate_bound(${selection}) is null as is_done)
    select key, '-' || version::text as version, (count(*) over ())::text as removed
    from bound cross join ${schema}.cache_remove(${selection})
    limit ${maxNamed}`
}

function givenOf(texts: readonly string[]): readonly string[] | null {
  return texts.length === 0 ? null : texts
}
