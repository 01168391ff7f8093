import type { Config } from './config.js'
import {
  defaultMemoryBytes,
  entryBookkeepingBytes,
  maxConnectionsIn,
  memoryBudget,
  negativeBookkeepingBytes,
} from './memory-budget.js'

/** Returns one line for each combination of settings that is invalid, although each setting is valid by itself. */
export function crossChecks(config: Config): readonly string[] {
  const { warm, stateDir, hasPageWrites, apiToken, apiTokenFile } = config
  const found = [...withoutRoom(config)]
  if (warm.kind === 'hot' && stateDir === undefined)
    found.push('CACHE_WARM: hot needs CACHE_STATE_DIR for its list, which is not set')
  if (hasPageWrites && apiToken === undefined && apiTokenFile === undefined)
    found.push('CACHE_UI_WRITE: on needs CACHE_API_TOKEN or CACHE_API_TOKEN_FILE, and neither is set')
  return found
}

/**
 * Returns a line for each setting that does not fit into memory. The arrays for all entries are allocated at the start,
 * and every value that can be set must also be readable.
 */
function withoutRoom({
  capacity,
  negativeCapacity = 0,
  maxValueBytes,
  maxConnections = 1,
  memoryBytes = defaultMemoryBytes(),
}: Config): string[] {
  const found: string[] = []
  const budget = memoryBudget(memoryBytes)
  const mostEntries = Math.floor(budget.entries / entryBookkeepingBytes)
  const mostNegative = Math.floor(budget.negative_entries / negativeBookkeepingBytes)
  const beyond = (most: number) =>
    `do not fit into memory, at most ${most} do: CACHE_MEMORY_BYTES is ${memoryBytes}`
  if (capacity > mostEntries) found.push(`CACHE_CAPACITY: ${capacity} entries ${beyond(mostEntries)}`)
  if (negativeCapacity > mostNegative)
    found.push(`CACHE_NEGATIVE_CAPACITY: ${negativeCapacity} entries ${beyond(mostNegative)}`)
  const mostConnections = maxConnectionsIn(memoryBytes)
  if (maxConnections > mostConnections)
    found.push(`CACHE_MAX_CONNECTIONS: ${maxConnections} connections ${beyond(mostConnections)}`)
  const mostBytes = Math.floor(memoryBytes / 4)
  if (maxValueBytes > mostBytes) found.push(`CACHE_MAX_VALUE_BYTES: ${maxValueBytes} ${beyond(mostBytes)}`)
  return found
}
