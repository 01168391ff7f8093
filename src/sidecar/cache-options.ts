import type { Config } from '../config/config.js'
import type { CacheOptions, Reconfigurable } from '../core/cache.js'

/** What the cache has to know of the settings. */
export function cacheOptions(config: Config): CacheOptions {
  return {
    ...reconfigurable(config),
    maxStalenessMs: config.maxStalenessMs,
    onFeedLoss: config.onFeedLoss,
    onWriteOutage: config.onWriteOutage,
    maxStatements: config.databasePoolSize,
    maxWaitMs: config.databaseTimeoutMs,
    idleAfterMs: config.idleAfterMs,
  }
}

/** The part that may change while it runs. */
export function reconfigurable(config: Config): Reconfigurable {
  const { capacity, maxBytes, ttlSeconds, ttlRules, ttlJitter, ttlMode } = config
  return {
    capacity,
    maxBytes,
    ttlMs: ttlMs(ttlSeconds),
    ttlRules: ttlRules.map(({ prefix, seconds }) => ({ prefix, ttlMs: ttlMs(seconds) })),
    ttlJitter,
    ttlMode,
  }
}

function ttlMs(seconds: number): number {
  return seconds === 0 ? Number.POSITIVE_INFINITY : seconds * 1_000
}
