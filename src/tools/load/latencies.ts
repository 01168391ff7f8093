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

/** HDR histogram (by Gil Tene, built into Node) with three significant digits, from 1 µs on. */
export class Latencies {
  readonly #histogram: RecordableHistogram = createHistogram()

  add(ms: number): void {
    this.#histogram.record(Math.max(1, Math.round(ms * 1_000)))
  }

  summary(): LatencySummary {
    const { count, max, mean } = this.#histogram
    const at = (percentile: number) => this.#histogram.percentile(percentile)
    return {
      count,
      p50Micros: at(50),
      p90Micros: at(90),
      p99Micros: at(99),
      p999Micros: at(99.9),
      maxMicros: max,
      // Without latencies, the mean is NaN, and all others are 0.
      meanMicros: count === 0 ? 0 : Math.round(mean),
    }
  }

  /** Forgets all latencies. */
  reset(): void {
    this.#histogram.reset()
  }
}
