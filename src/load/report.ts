import type { LatencySummary } from './latencies.js'
import type { LoadResult } from './open-loop.js'

/** One run, as it is written down. */
export interface LoadReport extends LoadResult {
  readonly url: string
  readonly mix: string
  readonly keys: string
  readonly rate: number
  readonly connections: number
  readonly valueBytes: number
  readonly startedAt: string
  /** Requests per second that the load itself can do. */
  readonly ownLimitPerSecond: number
  /** Of the reads, how many came from memory; undefined where the sidecar's counters could not be read. */
  readonly hitRatio: number | undefined
}

type Percentile = keyof Omit<LatencySummary, 'count' | 'meanMicros'>

const columns: readonly (readonly [name: string, of: Percentile])[] = [
  ['p50', 'p50Micros'],
  ['p90', 'p90Micros'],
  ['p99', 'p99Micros'],
  ['p99.9', 'p999Micros'],
  ['max', 'maxMicros'],
]

/** For people. With an earlier run, each figure's ratio to it stands behind it. */
export function linesOf(report: LoadReport, before?: LoadReport): string[] {
  const { rate, ratePerSecond, statuses, ownLimitPerSecond, hitRatio, due, answered } = report
  const against = (now: number, then: number | undefined) =>
    then === undefined || then === 0 ? '' : ` (×${(now / then).toFixed(2)})`
  const lines = [
    `${Math.round(ratePerSecond)} requests/s of ${rate} asked for${against(ratePerSecond, before?.ratePerSecond)}; ` +
      Object.entries(statuses)
        .map(([status, count]) => `${count} × ${status}`)
        .join(', '),
    ...(hitRatio === undefined ? [] : [`${(100 * hitRatio).toFixed(1)} % of the reads were hits`]),
    ...Object.entries(report.latencies).map(([operation, summary]) => {
      const then = before?.latencies[operation as keyof LoadResult['latencies']]
      return `${operation}  ${columns.map(([name, of]) => `${name} ${summary[of]} µs${against(summary[of], then?.[of])}`).join('  ')}`
    }),
    `this load can do ${Math.round(ownLimitPerSecond)} requests/s itself`,
  ]
  if (rate > ownLimitPerSecond * 0.8)
    lines.push('the rate asked for is near that: latencies are those of the load as much as of the sidecar')
  if (answered < due)
    lines.push(
      `${due - answered} requests were due and not sent in time: the sidecar is slower than this rate`,
    )
  return lines
}
