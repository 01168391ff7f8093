import { createRequire } from 'node:module'
import type { Metric as PromMetric, Registry as PromRegistry } from 'prom-client'
import type { Histogram } from '../../core/histogram.js'
import type { Labels, Metric } from './metric.js'

/**
 * From inside the package: the registry alone takes 6 ms and 0.6 MB to load, the whole package 44 ms and 10 MB. Not by
 * import(): in a process that had loaded another package by require(), Node 20 now and then gave an empty object for
 * it.
 */
const Registry = createRequire(import.meta.url)('prom-client/lib/registry.js') as typeof PromRegistry

interface PromValue {
  readonly metricName?: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

/** All metrics in Prometheus' text format. */
export class Exposition {
  readonly #registry = new Registry()

  constructor(metrics: readonly Metric[]) {
    for (const metric of metrics) this.#registry.registerMetric(asRead(metric))
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }
}

/**
 * Returns an object with everything that prom-client's registry needs of a metric. The package's own metric classes
 * would count a second time what is counted anyway. Its histogram would also cost each hit 500 ns with labels, where
 * core/histogram.ts costs 25 ns.
 */
function asRead(metric: Metric): PromMetric {
  const { name, help, type } = metric
  const read = {
    name,
    get: async () => ({ name, help, type, aggregator: 'sum', values: valuesOf(metric) }),
  }
  return read as unknown as PromMetric
}

function valuesOf(metric: Metric): readonly PromValue[] {
  if (metric.type !== 'histogram') return metric.read().map(({ labels = {}, value }) => ({ labels, value }))
  return metric.read().flatMap(({ labels = {}, value }) => bucketsOf(metric.name, labels, value))
}

function bucketsOf(name: string, labels: Labels, histogram: Histogram): PromValue[] {
  const counts = histogram.cumulative()
  const buckets = counts.map((value, index) => ({
    metricName: `${name}_bucket`,
    labels: { ...labels, le: histogram.bounds[index] ?? '+Inf' },
    value,
  }))
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: histogram.sum },
    { metricName: `${name}_count`, labels, value: counts.at(-1) as number },
  ]
}
