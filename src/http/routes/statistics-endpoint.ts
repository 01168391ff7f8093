import type { AttemptsStatus } from '../../core/breaker.js'
import type { Cache } from '../../core/cache.js'
import type { MemoryUse } from '../../core/state/memory-use.js'
import type { ChangeStreams } from './changes/change-streams.js'
import type { Endpoint } from './endpoint.js'
import { type CacheLimits, limitMembers } from './limits.js'
import { statisticsOperation } from './operations/service-operations.js'

export interface StatisticsEndpointOptions {
  readonly cache: Cache
  /** Returns the limits in force. */
  readonly limits: () => CacheLimits
  readonly attempts: () => AttemptsStatus
  /** Returns the number of expired rows that this sidecar has removed. */
  readonly expiredRowsRemoved: () => number
  readonly memory: () => MemoryUse
  readonly changeStreams: ChangeStreams
}

/** Returns the endpoint that counts what the sidecar has done, and shows what it holds. */
export function statisticsEndpoint(options: StatisticsEndpointOptions): Endpoint {
  return {
    method: 'get',
    path: '/cache/stats',
    operation: statisticsOperation,
    listedQuery: '',
    handle: (ctx) => {
      ctx.body = statistics(options)
    },
  }
}

function statistics({
  cache,
  limits,
  attempts,
  expiredRowsRemoved,
  memory,
  changeStreams,
}: StatisticsEndpointOptions): object {
  const status = cache.status()
  const {
    stats,
    size,
    bytes,
    pendingWrites,
    pendingBytes,
    pendingWritesObstacle,
    feed,
    leaseAgeMs,
    replicaUsable,
  } = status
  return {
    size,
    bytes,
    ...limitMembers(limits()),
    hits: stats.hits,
    misses: stats.missesAbsent + stats.missesExpired + stats.missesUnproven + stats.missesRequested,
    misses_by_reason: {
      absent: stats.missesAbsent,
      expired: stats.missesExpired,
      unproven: stats.missesUnproven,
      requested: stats.missesRequested,
    },
    coalesced_fills: stats.coalesced,
    revalidated_fills: stats.revalidatedFills,
    warmed: stats.warmed,
    stale_served: stats.staleServed,
    evictions: stats.evictions,
    negative: {
      size: status.negativeSize,
      capacity: status.negativeCapacity,
      bytes: status.negativeBytes,
      hits: stats.negativeHits,
      evictions: stats.negativeEvictions,
    },
    changes_applied: stats.changesApplied,
    invalidations: stats.invalidations,
    feed: {
      state: feed,
      lease_age_ms: Number.isFinite(leaseAgeMs) ? Math.round(leaseAgeMs) : null,
      losses: stats.feedLosses,
      revalidations: stats.revalidations,
      revalidation_drops: stats.revalidationDrops,
      flushes: stats.flushes,
    },
    writes: {
      pending: pendingWrites,
      pending_bytes: pendingBytes,
      pending_obstacle: pendingWritesObstacle ?? null,
      pending_settled: stats.pendingSettled,
      pending_conflicts: stats.pendingConflicts,
      unknown: stats.writesUnknown,
    },
    fill_leases: status.fillLeases,
    change_streams: { open: changeStreams.counts.open, cut_off: changeStreams.counts.cutOff },
    bindings: { usable: status.bindings.usable, unusable: status.bindings.unusable.length },
    database: { ...attempts(), expired_rows_removed: expiredRowsRemoved() },
    memory: shownMemory(memory()),
    ...(replicaUsable !== undefined && {
      replica: {
        usable: replicaUsable,
        fills: stats.replicaFills,
        fallbacks: {
          recent: stats.replicaTooRecent,
          unavailable: stats.replicaUnavailable,
          expiring: stats.replicaExpiring,
        },
      },
    }),
  }
}

function shownMemory(use: MemoryUse) {
  const parts = Object.entries(use).map(([part, { bytes, limitBytes }]) => [
    part,
    { bytes, limit_bytes: limitBytes },
  ])
  return { resident_bytes: process.memoryUsage.rss(), ...Object.fromEntries(parts) }
}
