import type { Config } from './config.js'
import { defaultMemoryBytes, entryBookkeepingBytes, memoryBudget } from './memory-budget.js'

/** What makes no sense together, though each setting does alone; one line each. */
export function crossChecks(config: Config): readonly string[] {
  const { warm, stateDir } = config
  const found = [...withoutRoom(config)]
  if (warm.kind === 'hot' && stateDir === undefined)
    found.push('CACHE_WARM: hot keeps its list in CACHE_STATE_DIR, which is not set')
  return found
}

/** What does not fit into memory: the arrays for all entries are allocated at the start, and a set has to be read again. */
function withoutRoom({ capacity, maxValueBytes, memoryBytes = defaultMemoryBytes() }: Config): string[] {
  const found: string[] = []
  const mostEntries = Math.floor(memoryBudget(memoryBytes).entries / entryBookkeepingBytes)
  const of = `CACHE_MEMORY_BYTES is ${memoryBytes}`
  if (capacity > mostEntries)
    found.push(`CACHE_CAPACITY: ${capacity} entries do not fit into memory, at most ${mostEntries} do: ${of}`)
  const mostBytes = Math.floor(memoryBytes / 4)
  if (maxValueBytes > mostBytes)
    found.push(
      `CACHE_MAX_VALUE_BYTES: ${maxValueBytes} do not fit into memory, at most ${mostBytes} do: ${of}`,
    )
  return found
}
