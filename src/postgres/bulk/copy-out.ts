import pg from 'pg'
import copy from 'pg-copy-streams'
import { longTransaction } from '../feed/long-transaction.js'
import { type EntryColumn, entryColumns } from './entry-columns.js'

export interface Snapshot {
  /** By the database's clock. What has expired by then is left out. */
  readonly takenAt: Date
  readonly columns: readonly EntryColumn[]
  /** In COPY's text format, one line each. Errors when not all of them came. */
  readonly entries: AsyncIterable<Buffer>
}

export interface CopyOutOptions {
  readonly url: string
  readonly stop: AbortSignal
}

/** Shows `write` all entries as they are at one moment. Rejects with one line. Works on a standby, too. */
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
  return longTransaction(options, async (client, table) => {
    const columns = await entryColumns(client, table)
    const { rows } = await client.query<{ now: Date }>('select now()')
    const names = columns.map(({ name }) => pg.escapeIdentifier(name)).join(', ')
    const entries = client.query(
      copy.to(
        `copy (select ${names} from ${table} where expires_at is null or expires_at > now())
         to stdout with (format text, encoding 'UTF8')`,
      ),
    )
    return write({ takenAt: (rows[0] as { now: Date }).now, columns, entries })
  })
}
