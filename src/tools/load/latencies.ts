import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

export interface LatencySummary {
  readonly count: number
  readonly p50Micros: number
  readonly p90Micros: number
  readonly p99Micros: number
  readonly p999Micros: number
  readonly maxMicros: number
  readonly meanMicros: number
}

const highestMicros = 24 * 3_600 * 1_000_000

/** HDR histogram (by Gil Tene, built into Node) with three significant digits, from 1 µs to a day. */
export class Latencies {
  readonly #histogram: RecordableHistogram = createHistogram({
    lowest: 1,
    highest: highestMicros,
    figures: 3,
  })

  add(ms: number): void {
    this.#histogram.record(Math.min(highestMicros, Math.max(1, Math.round(ms * 1_000))))
  }

  summary(): LatencySummary {
    const { count, max, mean } = this.#histogram
    const at = (percentile: number) => (count === 0 ? 0 : this.#histogram.percentile(percentile))
    return {
      count,
      p50Micros: at(50),
      p90Micros: at(90),
      p99Micros: at(99),
      p999Micros: at(99.9),
      maxMicros: count === 0 ? 0 : max,
      meanMicros: count === 0 ? 0 : Math.round(mean),
    }
  }

  /** Forgets all latencies. */
  reset(): void {
    this.#histogram.reset()
  }
}
