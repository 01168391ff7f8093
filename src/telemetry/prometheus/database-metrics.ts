import type { AttemptsStatus } from '../../core/breaker.js'
import type { CacheStatus } from '../../core/cache.js'
import { byLabel, type Metric, type Sample, single } from './metric.js'

export interface DatabaseSources {
  readonly status: () => CacheStatus
  readonly pool: () => PoolUse
  readonly attempts: () => AttemptsStatus
  readonly errorCounts: () => ReadonlyMap<string, number>
  /** Returns the usage of the notification queue from 0 to 1; undefined while it is unknown. */
  readonly queueUsage: () => number | undefined
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
}: DatabaseSources): readonly Metric[] {
  const ifReplicas = (read: (status: CacheStatus) => readonly Sample<number>[]) => {
    const now = status()
    return now.replicaUsable === undefined ? [] : read(now)
  }
  return [
    {
      name: 'caching_layer_batch_keys',
      help: 'Keys that one statement was sent for.',
      type: 'histogram',
      labels: ['operation'],
      read: () => {
        const { read, write, remove } = status().stats.batchKeys
        return byLabel('operation', { read, write, delete: remove })
      },
    },
    {
      name: 'caching_layer_pool_connections',
      help: 'Connections of the pool, busy (also with connecting) or idle; one more listens.',
      type: 'gauge',
      labels: ['state'],
      read: () => {
        const { busy, idle } = pool()
        return byLabel('state', { busy, idle })
      },
    },
    {
      name: 'caching_layer_pool_connections_limit',
      help: 'Most connections that the pool may have.',
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
      help: 'Statements that were sent again, because they had certainly done nothing.',
      type: 'counter',
      read: () => single(attempts().retries),
    },
    {
      name: 'caching_layer_breaker_open',
      help: '1 while the database is taken for dead: requests do not wait for it, one at a time tries.',
      type: 'gauge',
      read: () => single(attempts().breaker === 'closed' ? 0 : 1),
    },
    {
      name: 'caching_layer_breaker_opened_total',
      help: 'Times the database was not reached so often in a row that it was taken for dead.',
      type: 'counter',
      read: () => single(attempts().opened),
    },
    {
      name: 'caching_layer_breaker_refusals_total',
      help: 'Statements that were not sent, because the database was taken for dead.',
      type: 'counter',
      read: () => single(attempts().refused),
    },
    {
      name: 'caching_layer_replica_usable',
      help: '1 while fills may be read from a replica; there is none without DATABASE_READ_URL.',
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
      help: 'Fills read from the primary all the same: something of the key was shown here lately, no replica was reached that had replayed enough, or the row expires.',
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
      help: "How full the server's notification queue was, looked at once a minute; when it is full, no write can commit.",
      type: 'gauge',
      read: () => single(queueUsage()),
    },
  ]
}
