import Router from '@koa/router'
import type { AttemptsStatus } from '../../core/breaker.js'
import type { Cache } from '../../core/cache.js'
import { explanations } from '../../core/errors.js'
import type { MemoryUse } from '../../core/state/memory-use.js'

interface CacheLimits {
  readonly capacity: number
  readonly ttlSeconds: number
}

export interface ServiceRoutesOptions {
  readonly cache: Cache
  /** Those in force at this moment. */
  readonly limits: () => CacheLimits
  /** Without its password. */
  readonly databaseUrl: string
  readonly attempts: () => AttemptsStatus
  readonly memory: () => MemoryUse
}

/** What the service says of itself. */
export function serviceRoutes(options: ServiceRoutesOptions): Router {
  const { cache, limits, databaseUrl, attempts, memory } = options
  const router = new Router({ strict: true })

  router.get('/health', (ctx) => {
    const { feed, feedReason, pendingWrites, pendingWritesObstacle, faults } = cache.status()
    ctx.body = {
      status: 'ok',
      feed,
      ...(feedReason && { reason: feedReason }),
      ...(faults.length > 0 && {
        failing: Object.fromEntries(faults.map(({ operation, code }) => [operation, explanations[code]])),
      }),
      ...(pendingWrites > 0 && {
        pending_writes: {
          count: pendingWrites,
          ...(pendingWritesObstacle && { reason: explanations[pendingWritesObstacle] }),
        },
      }),
    }
  })

  router.get('/', (ctx) => {
    ctx.body = {
      service: 'caching-layer',
      endpoints: [
        'GET /health',
        'GET /cache/get?key=',
        'POST /cache/set',
        'DELETE /cache/delete?key=',
        'GET /cache/stats',
      ],
      postgres: databaseUrl,
      cache: shown(limits()),
    }
  })

  router.get('/cache/stats', (ctx) => {
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
    ctx.body = {
      size,
      bytes,
      ...shown(limits()),
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
      database: attempts(),
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
  })

  return router
}

function shownMemory(use: MemoryUse) {
  const parts = Object.entries(use).map(([part, { bytes, limitBytes }]) => [
    part,
    { bytes, limit_bytes: limitBytes },
  ])
  return { resident_bytes: process.memoryUsage.rss(), ...Object.fromEntries(parts) }
}

function shown({ capacity, ttlSeconds }: CacheLimits): { capacity: number; ttl_seconds: number } {
  return { capacity, ttl_seconds: ttlSeconds }
}
