import type { Config } from '../config/config.js'
import {
  defaultMemoryBytes,
  entryBookkeepingBytes,
  type MemoryBudget,
  memoryBudget,
} from '../config/memory-budget.js'
import type { CacheOptions, Reconfigurable } from '../core/cache.js'

/** What the cache has to know of the settings. */
export function cacheOptions(config: Config): CacheOptions {
  return {
    ...reconfigurable(config),
    maxStalenessMs: config.maxStalenessMs,
    onFeedLoss: config.onFeedLoss,
    onWriteOutage: config.onWriteOutage,
    // As much again is for the values of writes whose outcome is unknown.
    maxKeptBytes: Math.floor(budgetOf(config).keptWrites / 2),
    maxStatements: config.databasePoolSize,
    maxWaitMs: config.databaseTimeoutMs,
  }
}

/** How the memory is divided. */
export function budgetOf({ memoryBytes = defaultMemoryBytes() }: Pick<Config, 'memoryBytes'>): MemoryBudget {
  return memoryBudget(memoryBytes)
}

/** Most bytes of keys and values held: what is left when each entry has its bookkeeping, if no less was asked for. */
function entryBytes({ capacity, maxBytes = Number.POSITIVE_INFINITY, memoryBytes }: Config): number {
  const left = budgetOf({ memoryBytes }).entries - capacity * entryBookkeepingBytes
  return Math.max(1, Math.min(maxBytes, left))
}

/** The part that may change while it runs. */
export function reconfigurable(config: Config): Reconfigurable {
  const { capacity, ttlSeconds, ttlRules, ttlJitter, ttlMode } = config
  return {
    capacity,
    maxBytes: entryBytes(config),
    ttlMs: ttlMs(ttlSeconds),
    ttlRules: ttlRules.map(({ prefix, seconds }) => ({ prefix, ttlMs: ttlMs(seconds) })),
    ttlJitter,
    ttlMode,
  }
}

function ttlMs(seconds: number): number {
  return seconds === 0 ? Number.POSITIVE_INFINITY : seconds * 1_000
}
