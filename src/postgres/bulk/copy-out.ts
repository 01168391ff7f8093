import pg from 'pg'
import copy from 'pg-copy-streams'
import type { BindingDefinition } from '../bindings/binding-definition.js'
import { bindingDefinitions, hasBindings } from '../bindings/defined-bindings.js'
import { type BackupColumn, backupColumns } from './backup-columns.js'
import { longTransaction } from './long-transaction.js'

export interface Snapshot {
  /** Moment of the snapshot by the database's clock. Entries that have expired by then are left out. */
  readonly takenAt: Date
  readonly columns: readonly BackupColumn[]
  readonly bindings: readonly BindingDefinition[]
  /** Entries in COPY's text format, one per line. Iterating throws if the copy breaks off. */
  readonly entries: AsyncIterable<Buffer>
}

export interface CopyOutOptions {
  readonly url: string
  readonly stop: AbortSignal
}

/**
 * Calls `write` with a consistent snapshot of all entries. Works on a standby too. Rejects with an Error whose message
 * is one line.
 */
export async function copyOut<T>(
  { url, stop }: CopyOutOptions,
  write: (snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  const options = {
    url,
    stop,
    name: 'caching-layer backup',
    isolation: 'repeatable read, read only',
  } as const
  return longTransaction(options, async (client, table, schema) => {
    const columns = await backupColumns(client, table)
    const bindings = (await hasBindings(client, schema)) ? await bindingDefinitions(client, schema) : []
    const { rows } = await client.query<{ now: Date }>('select now()')
    const names = columns.map(({ name }) => pg.escapeIdentifier(name)).join(', ')
    const entries = client.query(
      copy.to(
        `copy (select ${names} from ${table} where expires_at is null or expires_at > now())
         to stdout with (format text, encoding 'UTF8')`,
      ),
    )
    return write({ takenAt: (rows[0] as { now: Date }).now, columns, bindings, entries })
  })
}
