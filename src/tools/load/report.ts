import { textTable } from '../../text/text-table.js'
import type { LatencySummary } from './latencies.js'
import type { TallySummary } from './tally.js'

/** Report of one run, in the form in which `--json` writes it. */
export interface LoadReport extends TallySummary {
  readonly report: 'caching-layer bench'
  readonly url: string
  readonly mix: string
  readonly keys: string
  /** Number of requests per second that was asked for. */
  readonly rate: number
  /** Number of requests per second that was reached. */
  readonly ratePerSecond: number
  readonly connections: number
  readonly valueBytes: number
  readonly startedAt: string
  readonly seconds: number
  /** Number of requests that were due. */
  readonly due: number
  readonly sent: number
  /** Reason why the run ended early, unless it was stopped. */
  readonly lost?: string
  /** Number of requests per second that the load generator itself can send at most. */
  readonly ownLimitPerSecond: number
  /** Delays of requests that were sent late although a connection was idle. This part of a latency is our own. */
  readonly lateness: LatencySummary
  /** Share of the reads that came from memory; absent if there were no reads. */
  readonly hitRatio?: number
}

/** Share of its own limit beyond which the load generator delays requests. */
const comfortableShare = 0.8

/**
 * Returns the report as lines for people. If an earlier run is given, each figure is followed by its ratio to that run.
 */
export function reportLines(report: LoadReport, before?: LoadReport): string[] {
  const { rate, ratePerSecond, hitRatio, due, sent, answered, failed, lateness } = report
  const lines = [
    `${Math.round(ratePerSecond)} requests/s of ${rate} asked for${ratio(ratePerSecond, before?.ratePerSecond)}, ` +
      `${answered} in ${report.seconds.toFixed(1)} s`,
  ]
  if (hitRatio !== undefined)
    lines.push(`${(100 * hitRatio).toFixed(1)} % of the reads were hits${ratio(hitRatio, before?.hitRatio)}`)
  const rows = Object.entries(report.latencies).map(([operation, summary]) =>
    row(operation, summary, before?.latencies[operation as keyof LoadReport['latencies']]),
  )
  if (failed > 0) rows.push(row('failed', report.failedLatencies, before?.failedLatencies))
  lines.push(
    ...textTable([['µs', 'p50', 'p90', 'p99', 'p99.9', 'max', 'answers'], ...rows], { numbers: true }),
  )
  if (failed > 0) lines.push(`${failed} answers were failures: ${statusesOf(report)}`)
  if (due > sent)
    lines.push(`${due - sent} requests were due and not sent: all connections waited for answers`)
  if (sent > answered) lines.push(`${sent - answered} requests were sent and not answered`)
  if (due > answered)
    lines.push('the latencies do not include unanswered requests, so they look better than they are')
  if (rate > report.ownLimitPerSecond * comfortableShare)
    lines.push(
      `the rate is near the limit of this load generator, ${Math.round(report.ownLimitPerSecond)} requests/s: ` +
        'the latencies include its own delays',
    )
  lines.push(
    `requests were sent late by ${lateness.p50Micros} µs (p50), ${lateness.p99Micros} µs (p99): ` +
      'the latencies include these delays',
  )
  return lines
}

function row(name: string, now: LatencySummary, then: LatencySummary | undefined): string[] {
  const cell = (of: keyof LatencySummary) => `${now[of]}${ratio(now[of], then?.[of])}`
  return [
    name,
    ...(['p50Micros', 'p90Micros', 'p99Micros', 'p999Micros', 'maxMicros'] as const).map(cell),
    String(now.count),
  ]
}

function ratio(now: number, then: number | undefined): string {
  return then ? ` (×${(now / then).toFixed(2)})` : ''
}

function statusesOf({ statuses }: LoadReport): string {
  return Object.entries(statuses)
    .flatMap(([operation, counts]) =>
      Object.entries(counts).map(([status, count]) => `${count} × ${operation} ${status}`),
    )
    .join(', ')
}
