import type { CacheStatus } from '../../core/cache.js'
import type { MemoryUse, PartUse } from '../../core/state/memory-use.js'
import type { Stats } from '../../core/stats.js'
import { byLabel, type Metric, oneOf, type Sample, single } from './metric.js'

export interface CacheSources {
  readonly status: () => CacheStatus
  readonly memory: () => MemoryUse
  /** Returns the current limits. */
  readonly limits: () => CacheLimits
}

interface CacheLimits {
  readonly capacity: number
  readonly maxBytes: number | undefined
  readonly maxStalenessMs: number
}

export function cacheMetrics({ status, memory, limits }: CacheSources): readonly Metric[] {
  const counter = (name: string, help: string, read: (stats: Stats) => number): Metric => ({
    name,
    help,
    type: 'counter',
    read: () => single(read(status().stats)),
  })
  const gauge = (name: string, help: string, read: (status: CacheStatus) => number | undefined): Metric => ({
    name,
    help,
    type: 'gauge',
    read: () => single(read(status())),
  })
  return [
    counter('caching_layer_hits_total', 'Reads answered from memory as fresh.', ({ hits }) => hits),
    {
      name: 'caching_layer_misses_total',
      help: "Reads that had to ask the database: not held, past its time to live, not proven fresh, or the reader's wish.",
      type: 'counter',
      labels: ['reason'],
      read: () => {
        const { missesAbsent, missesExpired, missesUnproven, missesRequested } = status().stats
        return byLabel('reason', {
          absent: missesAbsent,
          expired: missesExpired,
          unproven: missesUnproven,
          requested: missesRequested,
        })
      },
    },
    counter(
      'caching_layer_coalesced_fills_total',
      'Misses that joined a fill in flight.',
      ({ coalesced }) => coalesced,
    ),
    counter(
      'caching_layer_revalidated_fills_total',
      'Fills that found the version held to be the latest, so that its value did not travel.',
      ({ revalidatedFills }) => revalidatedFills,
    ),
    counter(
      'caching_layer_warmed_total',
      'Entries put by warming, before anybody asked for them.',
      ({ warmed }) => warmed,
    ),
    counter(
      'caching_layer_stale_served_total',
      'Reads answered from memory and marked stale, because the database could not be asked.',
      ({ staleServed }) => staleServed,
    ),
    gauge('caching_layer_entries', 'Entries held in memory.', ({ size }) => size),
    gauge('caching_layer_entries_limit', 'Most entries that may be held.', () => limits().capacity),
    gauge('caching_layer_held_bytes', 'Bytes of the keys and values held.', ({ bytes }) => bytes),
    gauge(
      'caching_layer_held_limit_bytes',
      'Most bytes that may be held; missing without a bound.',
      () => limits().maxBytes,
    ),
    {
      name: 'caching_layer_memory_bytes',
      help: 'Bytes in use of each part of CACHE_MEMORY_BYTES.',
      type: 'gauge',
      labels: ['part'],
      read: () => ofParts(memory(), ({ bytes }) => bytes),
    },
    {
      name: 'caching_layer_memory_limit_bytes',
      help: 'Most bytes that each of these parts may take.',
      type: 'gauge',
      labels: ['part'],
      read: () => ofParts(memory(), ({ limitBytes }) => limitBytes),
    },
    counter('caching_layer_evictions_total', 'Entries removed to make room.', ({ evictions }) => evictions),
    counter(
      'caching_layer_changes_applied_total',
      'Changes that the feed brought.',
      ({ changesApplied }) => changesApplied,
    ),
    counter(
      'caching_layer_invalidations_total',
      'Entries dropped by a change.',
      ({ invalidations }) => invalidations,
    ),
    {
      name: 'caching_layer_feed_state',
      help: '1 for the state that the change feed is in, 0 for the others.',
      type: 'gauge',
      labels: ['state'],
      read: () => oneOf('state', ['down', 'idle', 'catching-up', 'live'], status().feed),
    },
    gauge(
      'caching_layer_lease_age_seconds',
      'Time since everything acknowledged was proven to be applied here; +Inf before the first catch-up.',
      ({ leaseAgeMs }) => leaseAgeMs / 1_000,
    ),
    gauge(
      'caching_layer_max_staleness_seconds',
      'Age of the lease beyond which nothing is served as fresh.',
      () => limits().maxStalenessMs / 1_000,
    ),
    counter(
      'caching_layer_feed_losses_total',
      'Times the change feed was lost.',
      ({ feedLosses }) => feedLosses,
    ),
    counter(
      'caching_layer_feed_reconnects_total',
      'Times the change feed listened again.',
      ({ feedSessions }) => Math.max(0, feedSessions - 1),
    ),
    counter(
      'caching_layer_revalidations_total',
      'Times every version held was compared with the database.',
      ({ revalidations }) => revalidations,
    ),
    counter(
      'caching_layer_revalidation_drops_total',
      'Entries dropped by such a comparison.',
      ({ revalidationDrops }) => revalidationDrops,
    ),
    counter(
      'caching_layer_flushes_total',
      "Times everything was dropped, because the database's history is another one.",
      ({ flushes }) => flushes,
    ),
    gauge(
      'caching_layer_pending_writes',
      'Writes kept here until the database is back.',
      ({ pendingWrites }) => pendingWrites,
    ),
    gauge('caching_layer_pending_bytes', 'Bytes that these writes take.', ({ pendingBytes }) => pendingBytes),
    counter(
      'caching_layer_pending_writes_settled_total',
      'Pending writes that reached the database.',
      ({ pendingSettled }) => pendingSettled,
    ),
    counter(
      'caching_layer_pending_write_conflicts_total',
      'Pending writes given up, because their row had changed.',
      ({ pendingConflicts }) => pendingConflicts,
    ),
    counter(
      'caching_layer_writes_unknown_total',
      'Writes whose outcome is unknown, because the connection was lost before the database confirmed them.',
      ({ writesUnknown }) => writesUnknown,
    ),
  ]
}

function ofParts(use: MemoryUse, read: (part: PartUse) => number): readonly Sample<number>[] {
  return Object.entries(use).map(([part, one]) => ({ labels: { part }, value: read(one) }))
}
