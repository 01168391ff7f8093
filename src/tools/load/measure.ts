import { type HttpAddress, HttpConnection } from './http-connection.js'
import type { KeyChoice } from './key-choice.js'
import type { LatencySummary } from './latencies.js'
import type { Operation } from './mix.js'
import { OpenLoop } from './open-loop.js'
import type { Requests } from './requests.js'
import { RequestTally, type TallySummary } from './tally.js'

export interface MeasureOptions {
  readonly address: HttpAddress
  readonly connections: number
  readonly rate: number
  readonly durationMs: number
  readonly mix: ReadonlyMap<Operation, number>
  readonly keys: KeyChoice
  readonly requests: Requests
  readonly stop: AbortSignal
  /** Called with one line every second. */
  readonly progress: (line: string) => void
}

export interface Measured extends TallySummary {
  readonly seconds: number
  readonly due: number
  readonly sent: number
  readonly ratePerSecond: number
  readonly lateness: LatencySummary
  /** Reason why the run ended early, unless it was stopped. */
  readonly lost?: string
}

const progressMs = 1_000

/** Runs the load. Rejects if a connection cannot be opened. Later failures are part of the result. */
export async function measure(options: MeasureOptions): Promise<Measured> {
  const { address, connections, rate, durationMs, mix, keys, requests, stop, progress } = options
  const all = await HttpConnection.openAll(Array.from({ length: connections }, () => address))
  const tally = new RequestTally()
  const loop = new OpenLoop({
    connections: all,
    rate,
    durationMs,
    next: requests.drawn(mix, keys, Math.random),
    onAnswer: ({ operation }, status, dueMs) => tally.add(operation, status, performance.now() - dueMs),
    stop,
  })
  let seconds = 0
  const timer = setInterval(() => {
    const { count, p50Micros, p99Micros } = tally.recent()
    const { failed } = tally
    progress(
      `${++seconds} of ${durationMs / 1_000} s  ${count} requests/s  p50 ${p50Micros} µs  p99 ${p99Micros} µs` +
        (failed > 0 ? `  ${failed} failed` : ''),
    )
  }, progressMs)
  try {
    const { lost, seconds, due, sent, lateness, answered } = await loop.run()
    return {
      seconds,
      due,
      sent,
      ratePerSecond: answered / seconds,
      lateness,
      ...(lost && { lost: lost.message }),
      ...tally.summary(),
    }
  } finally {
    clearInterval(timer)
    for (const connection of all) connection.close()
  }
}
