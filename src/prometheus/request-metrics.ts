import type { Histogram } from '../core/histogram.js'
import type { Readiness } from '../core/readiness.js'
import { type Metric, oneOf, single } from './metric.js'

export interface RequestSources {
  readonly requests: Requests
  readonly refusedConnections: () => number
  readonly readiness: () => Readiness
}

interface Requests {
  tallies(): Iterable<RequestLabels & { readonly outcome: string; readonly count: number }>
  durations(): Iterable<RequestLabels & { readonly seconds: Histogram }>
}

interface RequestLabels {
  readonly route: string
  readonly source: string
}

export function requestMetrics({
  requests,
  refusedConnections,
  readiness,
}: RequestSources): readonly Metric[] {
  return [
    {
      name: 'caching_layer_requests_total',
      help: 'Requests answered on the data listener, by route template, outcome and where the answer came from.',
      type: 'counter',
      labels: ['route', 'outcome', 'source'],
      read: () =>
        Array.from(requests.tallies(), ({ route, outcome, source, count }) => ({
          labels: { route, outcome, source },
          value: count,
        })),
    },
    {
      name: 'caching_layer_request_duration_seconds',
      help: 'Time from a request that has been read to its answer.',
      type: 'histogram',
      labels: ['route', 'source'],
      read: () =>
        Array.from(requests.durations(), ({ route, source, seconds }) => ({
          labels: { route, source },
          value: seconds,
        })),
    },
    {
      name: 'caching_layer_connections_refused_total',
      help: 'Connections to the data listener closed at once, because there were as many as there may be.',
      type: 'counter',
      read: () => single(refusedConnections()),
    },
    {
      name: 'caching_layer_readiness',
      help: '1 for what /readyz says, 0 for the others.',
      type: 'gauge',
      labels: ['status'],
      read: () => oneOf('status', ['ready', 'degraded', 'unready'], readiness().status),
    },
  ]
}
