import type { CacheStatus } from '../core/cache.js'
import { byLabel, type Metric, single } from './metric.js'

export interface DatabaseSources {
  readonly status: () => CacheStatus
  readonly pool: () => PoolUse
  /** From 0 to 1; undefined while it is not known. */
  readonly queueUsage: () => number | undefined
}

/** Connections of the pool. */
interface PoolUse {
  readonly busy: number
  readonly idle: number
  /** Statements that wait for one. */
  readonly waiting: number
  readonly size: number
}

export function databaseMetrics({ status, pool, queueUsage }: DatabaseSources): readonly Metric[] {
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
      name: 'caching_layer_notification_queue_usage_ratio',
      help: "How full the server's notification queue was, looked at once a minute; when it is full, no write can commit.",
      type: 'gauge',
      read: () => single(queueUsage()),
    },
  ]
}
