import type { Exposition } from '../prometheus/exposition.js'
import type { MetricSources } from '../prometheus/metrics.js'

/** What `GET /metrics` shows. Its code is loaded when it is first asked for. */
export async function expositionOf(sources: MetricSources): Promise<Exposition> {
  const [{ Exposition }, { metricsOf }] = await Promise.all([
    import('../prometheus/exposition.js'),
    import('../prometheus/metrics.js'),
  ])
  return new Exposition(metricsOf(sources))
}
