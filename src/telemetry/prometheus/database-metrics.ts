import type { AttemptsStatus } from '../../core/breaker.js'
import type { CacheStatus } from '../../core/status.js'
import { byLabel, type Metric, type Sample, single } from './metric.js'

export interface DatabaseSources {
  readonly status: () => CacheStatus
  readonly pool: () => PoolUse
  readonly attempts: () => AttemptsStatus
  readonly errorCounts: () => ReadonlyMap<string, number>
  /** Returns the usage of the notification queue from 0 to 1; undefined while it is unknown. */
  readonly queueUsage: () => number | undefined
  /** Returns the number of expired rows that this sidecar has removed. */
  readonly expiredRowsRemoved: () => number
  readonly drains: () => DrainCounts
}

/** Counts of the drains of this sidecar (P17). */
interface DrainCounts {
  readonly statements: number
  readonly rows: number
}

/** Connections of the pool. */
interface PoolUse {
  readonly busy: number
  readonly idle: number
  /** Number of statements that wait for a connection. */
  readonly waiting: number
  readonly size: number
}

export function databaseMetrics({
  status,
  pool,
  attempts,
  errorCounts,
  queueUsage,
  expiredRowsRemoved,
  drains,
}: DatabaseSources): readonly Metric[] {
  const ifReplicas = (read: (status: CacheStatus) => readonly Sample<number>[]) => {
    const now = status()
    return now.replicaUsable === undefined ? [] : read(now)
  }
  return [
    {
      name: 'caching_layer_batch_keys',
      help: 'Number of keys per statement.',
      type: 'histogram',
      labels: ['operation'],
      read: () => {
        const { read, write, remove } = status().stats.batchKeys
        return byLabel('operation', { read, write, delete: remove })
      },
    },
    {
      name: 'caching_layer_pool_connections',
      help: 'Connections of the pool: busy (includes connecting) or idle. The listening connection is not included.',
      type: 'gauge',
      labels: ['state'],
      read: () => {
        const { busy, idle } = pool()
        return byLabel('state', { busy, idle })
      },
    },
    {
      name: 'caching_layer_pool_connections_limit',
      help: 'Maximum number of connections of the pool.',
      type: 'gauge',
      read: () => single(pool().size),
    },
    {
      name: 'caching_layer_pool_waiting',
      help: 'Statements that wait for a connection.',
      type: 'gauge',
      read: () => single(pool().waiting),
    },
    {
      name: 'caching_layer_database_errors_total',
      help: 'Statements that the database answered with an error, by its kind.',
      type: 'counter',
      labels: ['kind'],
      read: () => byLabel('kind', Object.fromEntries(errorCounts())),
    },
    {
      name: 'caching_layer_database_retries_total',
      help: 'Statements that were retried, because they had certainly had no effect.',
      type: 'counter',
      read: () => single(attempts().retries),
    },
    {
      name: 'caching_layer_breaker_open',
      help: '1 while the circuit breaker is open: requests do not wait for the database, and one at a time tries it.',
      type: 'gauge',
      read: () => single(attempts().breaker === 'closed' ? 0 : 1),
    },
    {
      name: 'caching_layer_breaker_opened_total',
      help: 'Times the circuit breaker opened, after several failures in a row to reach the database.',
      type: 'counter',
      read: () => single(attempts().opened),
    },
    {
      name: 'caching_layer_breaker_refusals_total',
      help: 'Statements that were not sent, because the circuit breaker was open.',
      type: 'counter',
      read: () => single(attempts().refused),
    },
    {
      name: 'caching_layer_replica_usable',
      help: '1 while fills may be read from a replica; missing without DATABASE_READ_URL.',
      type: 'gauge',
      read: () => ifReplicas(({ replicaUsable }) => single(replicaUsable ? 1 : 0)),
    },
    {
      name: 'caching_layer_replica_fills_total',
      help: 'Fills that a replica answered.',
      type: 'counter',
      read: () => ifReplicas(({ stats }) => single(stats.replicaFills)),
    },
    {
      name: 'caching_layer_replica_fallbacks_total',
      help:
        'Fills read from the primary and not a replica, because the key was seen too recently, no replica was ' +
        'usable, or the row expires.',
      type: 'counter',
      labels: ['reason'],
      read: () =>
        ifReplicas(({ stats }) =>
          byLabel('reason', {
            recent: stats.replicaTooRecent,
            unavailable: stats.replicaUnavailable,
            expiring: stats.replicaExpiring,
          }),
        ),
    },
    {
      name: 'caching_layer_notification_queue_usage_ratio',
      help: "Usage of the server's notification queue, read once a minute. No write can commit while it is full.",
      type: 'gauge',
      read: () => single(queueUsage()),
    },
    {
      name: 'caching_layer_expired_rows_removed_total',
      help: 'Rows that this sidecar has removed from the table, because they had expired.',
      type: 'counter',
      read: () => single(expiredRowsRemoved()),
    },
    {
      name: 'caching_layer_drains_total',
      help: 'Statements by which this sidecar has drained the outbox.',
      type: 'counter',
      read: () => single(drains().statements),
    },
    {
      name: 'caching_layer_drained_rows_total',
      help: 'Changes of bound tables that these have announced.',
      type: 'counter',
      read: () => single(drains().rows),
    },
  ]
}
