import { type CacheSources, cacheMetrics } from './cache-metrics.js'
import { type DatabaseSources, databaseMetrics } from './database-metrics.js'
import type { Metric } from './metric.js'
import { type ProcessSources, processMetrics } from './process-metrics.js'
import { type RequestSources, requestMetrics } from './request-metrics.js'

/** Sources of the values. They are read at every scrape, and at no other time. */
export interface MetricSources extends RequestSources, CacheSources, DatabaseSources, ProcessSources {}

/** Returns all metrics of `GET /metrics`. docs/reference/metrics.md lists them. */
export function metricsOf(sources: MetricSources): readonly Metric[] {
  return [
    ...requestMetrics(sources),
    ...cacheMetrics(sources),
    ...databaseMetrics(sources),
    ...processMetrics(sources),
  ]
}
