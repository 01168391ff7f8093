import type { Version } from '../../core/entry.js'
import type { Database } from '../../postgres/pool/database.js'
import { type AttributeRow, readAttributes } from '../../postgres/schema/entry-columns.js'
import type { SchemaName } from '../../postgres/schema/schema-name.js'
import { quoteIdentifier } from '../../postgres/schema/schema-owner.js'
import { fromColumns } from '../../postgres/store/value.js'
import { type Digest, digestOf } from './answer.js'

export interface Row {
  readonly version: Version
  readonly digest: Digest
  /** True if the entry has expired. Then a sidecar may also answer that there is none. */
  readonly expired: boolean
}

interface PrimaryRow extends AttributeRow {
  readonly version: Version
  readonly value: string
  readonly expired: boolean
}

/** Returns what the primary stores under the key now. Rejects with a CacheError if the primary cannot be asked. */
export async function readPrimary(
  database: Database,
  schema: Pick<SchemaName, 'get'>,
  key: string,
): Promise<Row | undefined> {
  const [row] = await database.read<PrimaryRow>(
    `select version, value, ${readAttributes}, coalesce(expires_at <= clock_timestamp(), false) as expired
     from ${quoteIdentifier(await schema.get())}.cache_entries where key = $1`,
    [key],
  )
  if (row === undefined) return undefined
  const { value } = fromColumns({ text: row.value, contentType: row.content_type })
  return { version: row.version, digest: digestOf(value), expired: row.expired }
}
