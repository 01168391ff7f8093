import type { Config } from '../config/config.js'
import {
  defaultMemoryBytes,
  defaultNegativeCapacity,
  entryBookkeepingBytes,
  type MemoryBudget,
  memoryBudget,
  negativeBookkeepingBytes,
} from '../config/memory-budget.js'
import type { CacheOptions, Reconfigurable } from '../core/cache.js'
import type { ListingOptions } from '../core/reads/listing.js'
import type { NegativeEntriesBounds } from '../core/state/negative-entries.js'
import { bytesForOneBody } from '../http/server/request-bodies.js'

/** Returns the options of the cache for these settings. */
export function cacheOptions(config: Config): CacheOptions {
  return {
    ...reconfigurable(config),
    maxStalenessMs: config.maxStalenessMs,
    onFeedLoss: config.onFeedLoss,
    onWriteOutage: config.onWriteOutage,
    // The other half is for the values of writes whose outcome is unknown.
    maxPendingBytes: Math.floor(budgetOf(config).pending_writes / 2),
    maxStatements: config.databasePoolSize,
    maxReads: Math.max(1, Math.floor(budgetOf(config).values_in_flight / readBytesInMemory(config))),
    maxWaitMs: config.databaseTimeoutMs,
    idleAfterMs: config.idleAfterMs,
  }
}

/** Returns the options of lists for these settings. */
export function listingOptions(config: Config): ListingOptions {
  return {
    maxPageBytes: Math.max(config.maxValueBytes, Math.min(largestPageBytes, maxReadBytes(config))),
    maxWaitMs: config.databaseTimeoutMs,
  }
}

/** Returns the division of the memory. */
export function budgetOf({ memoryBytes = defaultMemoryBytes() }: Pick<Config, 'memoryBytes'>): MemoryBudget {
  return memoryBudget(memoryBytes)
}

/**
 * Copies of a value in flight: the bytes received, its text, the response, and the part of it that waits to be sent.
 */
const copiesOfValue = 4
/** The driver takes too long for more. */
const largestReadBytes = 64 * 1024 * 1024

/** A client of lists waits for a whole page, so more would not help it. */
const largestPageBytes = 4 * 1024 * 1024

/** Bytes reserved for one statement that reads values. */
export function readBytesInMemory(config: Config): number {
  return copiesOfValue * maxReadBytes(config)
}

/**
 * Returns the most bytes of values that one statement may bring, so that all connections together stay within their
 * part of the memory. It is never less than the largest value that a set accepts.
 */
export function maxReadBytes(config: Config): number {
  const { databasePoolSize, databaseReadUrls, maxValueBytes } = config
  const statements = databasePoolSize * (databaseReadUrls.length > 0 ? 2 : 1)
  const each = Math.floor(budgetOf(config).values_in_flight / (copiesOfValue * statements))
  return Math.max(maxValueBytes, Math.min(largestReadBytes, each))
}

/** Returns the most bytes that request bodies may take, at least those of one set of the largest size. */
export function maxBodyBytes(config: Config): number {
  return Math.max(budgetOf(config).request_bodies, bytesForOneBody(config.maxValueBytes))
}

/**
 * Returns the most bytes of keys and values held: the rest after the bookkeeping of all entries, or
 * `CACHE_MAX_BYTES` if less.
 */
function entryBytes({ capacity, maxBytes = Number.POSITIVE_INFINITY, memoryBytes }: Config): number {
  const left = budgetOf({ memoryBytes }).entries - capacity * entryBookkeepingBytes
  return Math.max(1, Math.min(maxBytes, left))
}

/** Returns how many negative entries may be held, and the most bytes of their keys. */
function negativeBounds(config: Config): NegativeEntriesBounds {
  const { capacity, memoryBytes, negativeCapacity = defaultNegativeCapacity(capacity, memoryBytes) } = config
  const left = budgetOf(config).negative_entries - negativeCapacity * negativeBookkeepingBytes
  return { negativeCapacity, maxNegativeBytes: Math.max(1, left) }
}

/** Returns the options that may change while the sidecar runs. */
export function reconfigurable(config: Config): Reconfigurable {
  const { capacity, ttlSeconds, ttlRules, ttlJitter, ttlMode } = config
  return {
    capacity,
    maxBytes: entryBytes(config),
    ...negativeBounds(config),
    ttlMs: ttlMs(ttlSeconds),
    ttlRules: ttlRules.map(({ prefix, seconds }) => ({ prefix, ttlMs: ttlMs(seconds) })),
    ttlJitter,
    ttlMode,
  }
}

function ttlMs(seconds: number): number {
  return seconds === 0 ? Number.POSITIVE_INFINITY : seconds * 1_000
}
