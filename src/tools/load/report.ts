import type { LatencySummary } from './latencies.js'
import type { TallySummary } from './tally.js'

/** One run, as `--json` writes it down. */
export interface LoadReport extends TallySummary {
  readonly report: 'caching-layer bench'
  readonly url: string
  readonly mix: string
  readonly keys: string
  /** Requests per second asked for, and that came of it. */
  readonly rate: number
  readonly ratePerSecond: number
  readonly connections: number
  readonly valueBytes: number
  readonly startedAt: string
  readonly seconds: number
  /** Requests that were due, and those of them that were sent. */
  readonly due: number
  readonly sent: number
  /** Why it ended before its time, unless it was stopped. */
  readonly lost?: string
  /** Requests per second that the load itself can do. */
  readonly ownLimitPerSecond: number
  /** How late requests were sent although a connection was idle: that much of a latency is our own. */
  readonly lateness: LatencySummary
  /** Of the reads, how many came from memory; absent where there were none. */
  readonly hitRatio?: number
}

/** Beyond this share of its own limit the load delays its own requests. */
const comfortableShare = 0.8

/** For people. With an earlier run, each figure's ratio to it stands behind it. */
export function linesOf(report: LoadReport, before?: LoadReport): string[] {
  const { rate, ratePerSecond, hitRatio, due, sent, answered, failed, lateness } = report
  const lines = [
    `${Math.round(ratePerSecond)} requests/s of ${rate} asked for${ratio(ratePerSecond, before?.ratePerSecond)}, ${answered} in ${report.seconds.toFixed(1)} s`,
  ]
  if (hitRatio !== undefined)
    lines.push(`${(100 * hitRatio).toFixed(1)} % of the reads were hits${ratio(hitRatio, before?.hitRatio)}`)
  const rows = Object.entries(report.latencies).map(([operation, summary]) =>
    row(operation, summary, before?.latencies[operation as keyof LoadReport['latencies']]),
  )
  if (failed > 0) rows.push(row('failed', report.failedLatencies, before?.failedLatencies))
  lines.push(...aligned([['µs', 'p50', 'p90', 'p99', 'p99.9', 'max', 'answers'], ...rows]))
  if (failed > 0) lines.push(`${failed} answers were failures: ${statusesOf(report)}`)
  if (due > sent)
    lines.push(`${due - sent} requests were due and not sent: all connections waited for answers`)
  if (sent > answered) lines.push(`${sent - answered} requests were sent and not answered`)
  if (due > answered) lines.push('what was not answered is not in the latencies, which are too good by that')
  if (rate > report.ownLimitPerSecond * comfortableShare)
    lines.push(
      `the rate is near what this load can do, ${Math.round(report.ownLimitPerSecond)} requests/s: latencies are its own as much as the sidecar's`,
    )
  lines.push(
    `requests were sent late by ${lateness.p50Micros} µs (p50), ${lateness.p99Micros} µs (p99): that much of the latencies is this load's own`,
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

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  )
  return rows.map((cells) =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  '),
  )
}
