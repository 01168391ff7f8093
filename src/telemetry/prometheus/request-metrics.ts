import type { Histogram } from '../../core/histogram.js'
import type { Readiness } from '../../core/state/readiness.js'
import { byLabel, type Metric, single, stateSamples } from './metric.js'

export interface RequestSources {
  readonly requests: Requests
  readonly closedConnections: () => ClosedConnections
  readonly changeStreams: () => { readonly open: number; readonly cutOff: number }
  readonly readiness: () => Readiness
}

interface ClosedConnections {
  readonly full: number
  readonly evicted: number
  readonly turned_away: number
  readonly unread: number
  readonly pipelined: number
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
  closedConnections,
  changeStreams,
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
      help: 'Time from a request that has been read to its response.',
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
      help: 'Connections to the data listener that were refused: the limit was reached, and no connection was idle.',
      type: 'counter',
      read: () => single(closedConnections().full),
    },
    {
      name: 'caching_layer_connections_closed_total',
      help:
        'Connections closed by the data listener: evicted to make room for a new one, turned away with 401 or ' +
        '421, because the client did not read its response, or because too many pipelined requests waited.',
      type: 'counter',
      labels: ['reason'],
      read: () => {
        const { full: _, ...byReason } = closedConnections()
        return byLabel('reason', byReason)
      },
    },
    {
      name: 'caching_layer_change_streams',
      help: 'Clients that follow the changes.',
      type: 'gauge',
      read: () => single(changeStreams().open),
    },
    {
      name: 'caching_layer_change_streams_cut_off_total',
      help: 'Streams of changes that were closed, because their clients were too slow.',
      type: 'counter',
      read: () => single(changeStreams().cutOff),
    },
    {
      name: 'caching_layer_readiness',
      help: '1 for the status that /readyz reports, 0 for the others.',
      type: 'gauge',
      labels: ['status'],
      read: () => stateSamples('status', ['ready', 'idle', 'degraded', 'unready'], readiness().status),
    },
  ]
}
