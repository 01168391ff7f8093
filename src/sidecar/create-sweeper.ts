import type { Config } from '../config/config.js'
import type { Cache } from '../core/cache.js'
import { Sweeper, type SweeperParts } from '../postgres/sweep/sweeper.js'

export interface CreateSweeperOptions extends Omit<SweeperParts, 'mayRun'> {
  readonly config: Pick<Config, 'sweepIntervalMs' | 'maxStalenessMs'>
  readonly cache: Pick<Cache, 'status'>
}

/**
 * Creates the sweeper. It sweeps only while the feed is live: then the primary answers, and the sidecar is not idle, so
 * that a serverless database can sleep.
 */
export function createSweeper({ config, cache, ...parts }: CreateSweeperOptions): Sweeper {
  const { sweepIntervalMs: intervalMs, maxStalenessMs } = config
  return new Sweeper(
    { intervalMs, maxStalenessMs },
    { ...parts, mayRun: () => cache.status().feed === 'live' },
  )
}
