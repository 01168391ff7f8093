import { type CacheSources, cacheMetrics } from './cache-metrics.js'
import { type DatabaseSources, databaseMetrics } from './database-metrics.js'
import type { Metric } from './metric.js'
import { type ProcessSources, processMetrics } from './process-metrics.js'
import { type RequestSources, requestMetrics } from './request-metrics.js'

/** Where the numbers are: all of it is looked at for every scrape, and for nothing else. */
export interface MetricSources extends RequestSources, CacheSources, DatabaseSources, ProcessSources {}

/** Everything that `GET /metrics` shows; docs/reference/metrics.md is this list. */
export function metricsOf(sources: MetricSources): readonly Metric[] {
  return [
    ...requestMetrics(sources),
    ...cacheMetrics(sources),
    ...databaseMetrics(sources),
    ...processMetrics(sources),
  ]
}
