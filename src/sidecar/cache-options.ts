import type { Config } from '../config/config.js'
import {
  defaultMemoryBytes,
  entryBookkeepingBytes,
  type MemoryBudget,
  memoryBudget,
} from '../config/memory-budget.js'
import type { CacheOptions, Reconfigurable } from '../core/cache.js'
import { bytesForOneBody } from '../http/server/request-bodies.js'

/** What the cache has to know of the settings. */
export function cacheOptions(config: Config): CacheOptions {
  return {
    ...reconfigurable(config),
    maxStalenessMs: config.maxStalenessMs,
    onFeedLoss: config.onFeedLoss,
    onWriteOutage: config.onWriteOutage,
    // As much again is for the values of writes whose outcome is unknown.
    maxPendingBytes: Math.floor(budgetOf(config).pendingWrites / 2),
    maxStatements: config.databasePoolSize,
    maxReads: Math.max(1, Math.floor(budgetOf(config).transfers / readBytesInMemory(config))),
    maxWaitMs: config.databaseTimeoutMs,
    idleAfterMs: config.idleAfterMs,
  }
}

/** How the memory is divided. */
export function budgetOf({ memoryBytes = defaultMemoryBytes() }: Pick<Config, 'memoryBytes'>): MemoryBudget {
  return memoryBudget(memoryBytes)
}

/** Copies of a value on its way: what is received, its text, the response and what of that waits to be sent. */
const copiesOfValue = 4
/** Longer ones take the driver too long. */
const largestReadBytes = 64 * 1024 * 1024

/** Bytes that are set aside for a statement that reads values. */
export function readBytesInMemory(config: Config): number {
  return copiesOfValue * maxReadBytes(config)
}

/** Most bytes of values that one statement may bring: what every connection may bring at once, but any value that a set takes. */
export function maxReadBytes(config: Config): number {
  const { databasePoolSize, databaseReadUrls, maxValueBytes } = config
  const statements = databasePoolSize * (databaseReadUrls.length > 0 ? 2 : 1)
  const each = Math.floor(budgetOf(config).transfers / (copiesOfValue * statements))
  return Math.max(maxValueBytes, Math.min(largestReadBytes, each))
}

/** Most bytes that bodies of requests may take: no less than one set of the largest size needs. */
export function maxBodyBytes(config: Config): number {
  return Math.max(budgetOf(config).bodies, bytesForOneBody(config.maxValueBytes))
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
