import type { Exposition } from '../telemetry/prometheus/exposition.js'
import type { MetricSources } from '../telemetry/prometheus/metrics.js'

/** What `GET /metrics` shows. Its code is loaded when it is first asked for. */
export async function createExposition(sources: MetricSources): Promise<Exposition> {
  const [{ Exposition }, { metricsOf }] = await Promise.all([
    import('../telemetry/prometheus/exposition.js'),
    import('../telemetry/prometheus/metrics.js'),
  ])
  return new Exposition(metricsOf(sources))
}
