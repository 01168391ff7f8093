import { join } from 'node:path'
import type { Config } from '../config/config.js'
import type { Cache } from '../core/cache.js'
import type { Clock, Log } from '../core/ports.js'
import type { Database } from '../postgres/pool/database.js'
import type { SchemaName } from '../postgres/schema/schema-name.js'
import { recentKeys } from '../postgres/store/recent-keys.js'
import { hotKeys } from '../warm-up/hot-keys.js'
import { HotKeysFile } from '../warm-up/hot-keys-file.js'
import { HotKeysKeeper } from '../warm-up/hot-keys-keeper.js'
import { readKeyList } from '../warm-up/key-list.js'
import { WarmUp, type WarmUpParts } from '../warm-up/warm-up.js'

export interface WarmUpOptions {
  readonly config: Pick<Config, 'warm' | 'warmTimeoutMs' | 'stateDir'>
  /** Returns the limits in force. */
  readonly limits: () => Pick<Config, 'capacity'>
  readonly cache: Cache
  readonly database: Database
  readonly schema: SchemaName
  readonly clock: Clock
  readonly log: Log
}

/** Creates the warm-up that `CACHE_WARM` asks for; returns undefined if it is off. */
export function createWarmUp(options: WarmUpOptions): WarmUp | undefined {
  const { config, limits, cache, database, schema, clock, log } = options
  const { warm, warmTimeoutMs: timeoutMs, stateDir } = config
  const capacity = () => limits().capacity
  const start = (from: string, more: Pick<WarmUpParts, 'keys' | 'keeper'>) =>
    new WarmUp({ from, timeoutMs, cache, capacity, clock, log, ...more })
  switch (warm.kind) {
    case 'off':
      return undefined
    case 'recent':
      return start('recent', {
        keys: async () => recentKeys(database, await schema.get(), Math.min(warm.count, capacity())),
      })
    case 'file':
      return start('file', { keys: () => readKeyList(warm.path, capacity()) })
    case 'hot': {
      const file = new HotKeysFile(join(stateDir as string, 'hot-keys'))
      const keeper = new HotKeysKeeper({ file, cache, log })
      return start('hot', { keys: () => hotKeys(file, capacity(), log), keeper })
    }
  }
}
