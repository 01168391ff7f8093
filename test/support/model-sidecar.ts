import type { Bindings } from '../../src/core/bindings/bindings.js'
import { Cache, type CacheOptions } from '../../src/core/cache.js'
import type { FillContests } from '../../src/core/leases/fill-contests.js'
import { DrivenClock } from './driven-clock.js'
import { ModelFeed } from './model-feed.js'
import { ModelStore } from './model-store.js'
import { type Logged, recordingLog } from './recording-log.js'

export interface ModelSidecar {
  readonly clock: DrivenClock
  readonly store: ModelStore
  readonly feed: ModelFeed
  readonly cache: Cache
  readonly logged: Logged[]
}

interface Shared extends Partial<Pick<ModelSidecar, 'clock' | 'store'>> {
  readonly random?: () => number
  /** Its fills may be read from the store's replica. */
  readonly withReplica?: boolean
  readonly bindings?: Bindings
  readonly contests?: FillContests
}

/** Default staleness bound L and default time to live of the tests. */
export const maxStalenessMs = 3_000
export const ttlMs = 60_000

/** Creates the core of one sidecar, over models of its database and its feed. The feed is down. */
export function modelSidecar(options: Partial<CacheOptions> = {}, shared?: Shared): ModelSidecar {
  const clock = shared?.clock ?? new DrivenClock()
  const store = shared?.store ?? new ModelStore(clock)
  const { log, logged } = recordingLog()
  const cache = new Cache(
    {
      capacity: 100,
      negativeCapacity: 100,
      maxBytes: undefined,
      ttlMs,
      maxStalenessMs,
      onFeedLoss: 'bypass',
      onWriteOutage: 'local',
      maxPendingBytes: 1_000_000,
      maxStatements: 2,
      maxReads: 9,
      maxWaitMs: 1_000,
      idleAfterMs: 0,
      ...options,
    },
    {
      store,
      remover: store.remover,
      writer: store.writer,
      clock,
      log,
      ...(shared?.random && { random: shared.random }),
      ...(shared?.withReplica && { replica: store.replica }),
      ...(shared?.bindings && { bindings: shared.bindings }),
      ...(shared?.contests && { contests: shared.contests }),
    },
  )
  return { clock, store, cache, logged, feed: new ModelFeed({ store, clock, handler: cache }) }
}

/** The same, with its feed live. */
export async function liveSidecar(
  options: Partial<CacheOptions> = {},
  shared?: Shared,
): Promise<ModelSidecar> {
  const sidecar = modelSidecar(options, shared)
  await sidecar.feed.connect()
  return sidecar
}
