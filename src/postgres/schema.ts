import { CacheError } from '../core/errors.js'
import type { Database } from './database.js'
import { sqlState } from './errors.js'

const undefinedFunction = '42883'

/** The channel on which changes of the table are announced. Rejects when the schema is not there. */
export async function changeChannel(database: Database): Promise<string> {
  const [row] = await database
    .read<{ channel: string }>(
      `select cache_channel(nspname, relname) as channel
       from pg_class join pg_namespace on pg_namespace.oid = relnamespace
       where pg_class.oid = to_regclass('cache_entries')`,
    )
    .catch((error: unknown) => {
      if (sqlState(error) === undefinedFunction) return []
      throw error
    })
  if (row === undefined) {
    throw new CacheError('store-unavailable', 'the table is not set up: run "caching-layer migrate"')
  }
  return row.channel
}
