import type { Config } from '../config/config.js'
import { defaultMaxConnections } from '../config/memory-budget.js'
import type { Log } from '../core/ports.js'
import { opsLimits } from '../http/server/connection-limits.js'
import { connectionShares, openFilesLimit } from '../http/server/open-files-limit.js'

/**
 * Divides what the limit on open files allows between the two listeners, and logs if that is less than was asked
 * for.
 */
export function shareConnections(
  {
    maxConnections = defaultMaxConnections(),
    databasePoolSize,
  }: Pick<Config, 'maxConnections' | 'databasePoolSize'>,
  log: Log,
): { readonly data: number; readonly ops: number } {
  const shares = connectionShares(
    { data: maxConnections, ops: opsLimits.maxConnections },
    openFilesLimit() - databasePoolSize,
  )
  if (shares.data < maxConnections)
    log.warn(
      { maxConnections: shares.data, wanted: maxConnections },
      'the limit on open files allows fewer connections than CACHE_MAX_CONNECTIONS',
    )
  return shares
}
