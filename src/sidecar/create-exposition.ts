import type { Exposition } from '../telemetry/prometheus/exposition.js'
import type { MetricSources } from '../telemetry/prometheus/metrics.js'

/** Creates the text for `GET /metrics`. Its code is loaded at the first request for it. */
export async function createExposition(sources: MetricSources): Promise<Exposition> {
  const [{ Exposition }, { metricsOf }] = await Promise.all([
    import('../telemetry/prometheus/exposition.js'),
    import('../telemetry/prometheus/metrics.js'),
  ])
  return new Exposition(metricsOf(sources))
}
