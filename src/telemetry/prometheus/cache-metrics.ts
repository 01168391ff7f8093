import type { MemoryUse, PartUse } from '../../core/state/memory-use.js'
import type { Stats } from '../../core/stats.js'
import type { CacheStatus } from '../../core/status.js'
import { byLabel, type Metric, type Sample, single, stateSamples } from './metric.js'

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
    counter(
      'caching_layer_negative_hits_total',
      'Those of them whose key does not exist.',
      ({ negativeHits }) => negativeHits,
    ),
    {
      name: 'caching_layer_misses_total',
      help:
        'Reads that asked the database, because there was no entry, it had expired, it was not proven fresh, or ' +
        'the reader required it.',
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
      'Fills that confirmed the version held, so that its value was not transferred.',
      ({ revalidatedFills }) => revalidatedFills,
    ),
    counter('caching_layer_warmed_total', 'Entries put by the warm-up.', ({ warmed }) => warmed),
    counter(
      'caching_layer_stale_served_total',
      'Reads answered from memory without proof, and marked stale.',
      ({ staleServed }) => staleServed,
    ),
    gauge('caching_layer_entries', 'Entries held in memory.', ({ size }) => size),
    gauge('caching_layer_entries_limit', 'Maximum number of entries.', () => limits().capacity),
    gauge('caching_layer_held_bytes', 'Bytes of the keys and values held.', ({ bytes }) => bytes),
    gauge(
      'caching_layer_held_limit_bytes',
      'Maximum of these bytes; missing if there is no limit.',
      () => limits().maxBytes,
    ),
    gauge(
      'caching_layer_negative_entries',
      'Keys remembered as not existing.',
      ({ negativeSize }) => negativeSize,
    ),
    gauge(
      'caching_layer_negative_entries_limit',
      'Maximum number of these keys.',
      ({ negativeCapacity }) => negativeCapacity,
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
      help: 'Maximum of these bytes for each part.',
      type: 'gauge',
      labels: ['part'],
      read: () => ofParts(memory(), ({ limitBytes }) => limitBytes),
    },
    counter('caching_layer_evictions_total', 'Entries removed to make room.', ({ evictions }) => evictions),
    counter(
      'caching_layer_negative_evictions_total',
      'Keys remembered as not existing that were removed to make room.',
      ({ negativeEvictions }) => negativeEvictions,
    ),
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
      read: () => stateSamples('state', ['down', 'idle', 'catching-up', 'live'], status().feed),
    },
    {
      name: 'caching_layer_bindings',
      help: 'Bindings of keys to tables and queries. Keys of an unusable one are answered with 503.',
      type: 'gauge',
      labels: ['state'],
      read: () => {
        const { usable, unusable } = status().bindings
        return byLabel('state', { usable, unusable: unusable.length })
      },
    },
    gauge(
      'caching_layer_lease_age_seconds',
      'Time since everything acknowledged was proven to be applied here; +Inf before the first catch-up.',
      ({ leaseAgeMs }) => leaseAgeMs / 1_000,
    ),
    gauge(
      'caching_layer_outbox_lease_age_seconds',
      'The same for keys whose changes are announced through the outbox.',
      ({ outboxLeaseAgeMs }) => outboxLeaseAgeMs / 1_000,
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
    counter('caching_layer_feed_reconnects_total', 'Times the change feed reconnected.', ({ feedSessions }) =>
      Math.max(0, feedSessions - 1),
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
      'Times all entries were dropped, because the history of the database or the table had changed.',
      ({ flushes }) => flushes,
    ),
    gauge(
      'caching_layer_pending_writes',
      'Writes kept in memory until the database is back.',
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
      'Pending writes discarded, because their row had changed or the database refused them.',
      ({ pendingConflicts }) => pendingConflicts,
    ),
    counter(
      'caching_layer_writes_unknown_total',
      'Writes whose outcome is unknown, because the connection was lost before the database confirmed them.',
      ({ writesUnknown }) => writesUnknown,
    ),
    {
      name: 'caching_layer_fill_leases_granted_total',
      help: 'Leases to compute a missing value that callers of this sidecar got.',
      type: 'counter',
      read: () => single(status().fillLeases.granted),
    },
    {
      name: 'caching_layer_fill_leases_refused_total',
      help: 'Values that were not stored, because their lease had ended, was revoked, or an entry was there.',
      type: 'counter',
      read: () => single(status().fillLeases.refused),
    },
    gauge(
      'caching_layer_fill_leases_waiting',
      'Requests that wait for a value that another client computes, or for a change.',
      ({ fillLeases }) => fillLeases.waiting,
    ),
  ]
}

function ofParts(use: MemoryUse, read: (part: PartUse) => number): readonly Sample<number>[] {
  return Object.entries(use).map(([part, one]) => ({ labels: { part }, value: read(one) }))
}
