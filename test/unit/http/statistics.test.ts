import t from 'tap'
import type { Cache } from '../../../src/core/cache.js'
import { explanations } from '../../../src/core/errors.js'
import type { MemoryUse } from '../../../src/core/state/memory-use.js'
import { Stats } from '../../../src/core/stats.js'
import type { CacheStatus } from '../../../src/core/status.js'
import type { ChangeStreams } from '../../../src/http/routes/changes/change-streams.js'
import { healthEndpoint } from '../../../src/http/routes/health-endpoint.js'
import {
  type StatisticsEndpointOptions,
  statisticsEndpoint,
} from '../../../src/http/routes/statistics-endpoint.js'

/** Returns what an endpoint puts into the body. */
function bodyOf({ handle }: { readonly handle: (ctx: never) => unknown }): Record<string, unknown> {
  const ctx = { body: {} }
  handle(ctx as never)
  return ctx.body
}

/** Counters that all have another value. */
function distinctStats(): Stats {
  const stats = new Stats()
  const counters = Object.keys(stats).filter((name) => name !== 'batchKeys')
  for (const [index, name] of counters.entries()) Object.assign(stats, { [name]: 100 + index })
  return stats
}

function statisticsOf(more: Partial<CacheStatus> = {}) {
  const stats = distinctStats()
  const status = {
    ...{ stats, size: 1, bytes: 2, negativeSize: 3, negativeCapacity: 4, negativeBytes: 5 },
    ...{ pendingWrites: 6, pendingBytes: 7, pendingWritesObstacle: 'store-suspended' },
    ...{ feed: 'catching-up', leaseAgeMs: 8.4, fillLeases: { granted: 9, refused: 10, waiting: 11 } },
    bindings: { usable: 12, unusable: ['a', 'b'].map((pattern) => ({ pattern, reason: '' })) },
    ...more,
  } as CacheStatus
  const options = {
    cache: { status: () => status } as Cache,
    limits: () => ({ capacity: 13, ttlSeconds: 14 }),
    attempts: () => ({ breaker: 'trying', retries: 15, opened: 16, refused: 17 }),
    expiredRowsRemoved: () => 18,
    memory: () => ({ entries: { bytes: 19, limitBytes: 20 } }) as unknown as MemoryUse,
    changeStreams: { counts: { open: 21, cutOff: 22 } } as ChangeStreams,
  } satisfies StatisticsEndpointOptions
  return { stats, shown: bodyOf(statisticsEndpoint(options)) }
}

t.test('each member of the statistics is what it is named after', async (t) => {
  const { stats, shown } = statisticsOf({ replicaUsable: false })
  const { memory, ...rest } = shown as { memory: { resident_bytes: number } }
  t.ok(memory.resident_bytes > 1e7)
  t.strictSame({ ...memory, resident_bytes: 0 }, {
    resident_bytes: 0,
    entries: { bytes: 19, limit_bytes: 20 },
  } as object)
  t.strictSame(rest, {
    size: 1,
    bytes: 2,
    capacity: 13,
    ttl_seconds: 14,
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
      ...{ size: 3, capacity: 4, bytes: 5 },
      hits: stats.negativeHits,
      evictions: stats.negativeEvictions,
    },
    changes_applied: stats.changesApplied,
    invalidations: stats.invalidations,
    feed: {
      state: 'catching-up',
      lease_age_ms: 8,
      losses: stats.feedLosses,
      revalidations: stats.revalidations,
      revalidation_drops: stats.revalidationDrops,
      flushes: stats.flushes,
    },
    writes: {
      ...{ pending: 6, pending_bytes: 7, pending_obstacle: 'store-suspended' },
      pending_settled: stats.pendingSettled,
      pending_conflicts: stats.pendingConflicts,
      unknown: stats.writesUnknown,
    },
    fill_leases: { granted: 9, refused: 10, waiting: 11 },
    change_streams: { open: 21, cut_off: 22 },
    bindings: { usable: 12, unusable: 2 },
    database: { breaker: 'trying', retries: 15, opened: 16, refused: 17, expired_rows_removed: 18 },
    replica: {
      usable: false,
      fills: stats.replicaFills,
      fallbacks: {
        recent: stats.replicaTooRecent,
        unavailable: stats.replicaUnavailable,
        expiring: stats.replicaExpiring,
      },
    },
  })
})

t.test('what there is not is null, or missing', async (t) => {
  const { shown } = statisticsOf({
    leaseAgeMs: Number.POSITIVE_INFINITY,
    pendingWritesObstacle: undefined,
    replicaUsable: undefined,
  })
  t.match(shown, { feed: { lease_age_ms: null }, writes: { pending_obstacle: null } })
  t.notOk('replica' in shown, 'there are no replicas')
})

const healthOf = (status: Partial<CacheStatus>) =>
  bodyOf(
    healthEndpoint(
      { status: () => ({ pendingWrites: 0, faults: [], ...status }) } as unknown as Cache,
      '1.2.3',
    ),
  )

t.test('the health of a sidecar that has no trouble has no more than its feed', async (t) => {
  t.strictSame(healthOf({ feed: 'live' }), { status: 'ok', version: '1.2.3', feed: 'live' })
})

t.test('the health names the reason of a lost feed, what fails, and what is pending', async (t) => {
  t.strictSame(
    healthOf({
      feed: 'down',
      feedReason: 'a reason',
      faults: [
        { operation: 'write', code: 'row-locked' },
        { operation: 'read', code: 'forbidden' },
      ] as unknown as CacheStatus['faults'],
      pendingWrites: 2,
      pendingWritesObstacle: 'store-suspended',
    }),
    {
      ...{ status: 'ok', version: '1.2.3', feed: 'down', reason: 'a reason' },
      failing: { write: explanations['row-locked'], read: explanations.forbidden },
      pending_writes: { count: 2, reason: explanations['store-suspended'] },
    },
  )
  t.strictSame(healthOf({ feed: 'live', pendingWrites: 1 }), {
    ...{ status: 'ok', version: '1.2.3', feed: 'live' },
    pending_writes: { count: 1 },
  })
})
