import type { Histogram } from '../../../core/histogram.js'
import type { Clock } from '../../../core/ports.js'
import type { MemoryUse } from '../../../core/state/memory-use.js'
import type { CacheStatus } from '../../../core/status.js'
import type { Row, SampleColumn } from './page-data.js'
import { quantile } from './quantile.js'

export interface SampleSources {
  readonly status: () => CacheStatus
  readonly memory: () => MemoryUse
  readonly requests: { durations(): Iterable<{ readonly seconds: Histogram }> }
  /** Delay of the event loop. */
  readonly eventLoopDelay: Histogram
  readonly clock: Pick<Clock, 'now'>
}

export const sampleColumns: readonly SampleColumn[] = [
  'time',
  'hits',
  'absent',
  'expired',
  'unproven',
  'requested',
  'requests',
  'p50Ms',
  'p99Ms',
  'leaseAgeMs',
  'memoryBytes',
  'residentBytes',
  'loopDelayMs',
]

/** Counters at one moment. */
interface Counters {
  readonly nowMs: number
  readonly hits: number
  readonly absent: number
  readonly expired: number
  readonly unproven: number
  readonly requested: number
  /** Requests up to each bound of their duration. */
  readonly durations: readonly number[]
  readonly loopDelays: readonly number[]
}

/** Number of samples that quantiles look back. */
const quantileSamples = 5

/** Reads counters that exist, and returns their growth. Nothing is counted for it on the way of a request. */
export class Sampler {
  readonly #sources: SampleSources
  #bounds: readonly number[] = []
  /** Counters of the last samples, oldest first. */
  readonly #last: Counters[]

  constructor(sources: SampleSources) {
    this.#sources = sources
    this.#last = [this.#counters(sources.status())]
  }

  /** Returns the sample of this moment, at a Unix time in ms. */
  sample(unixMs: number): Row {
    const { status, memory, eventLoopDelay } = this.#sources
    const current = status()
    const now = this.#counters(current)
    const before = this.#last.at(-1) as Counters
    const oldest = this.#last[0] as Counters
    this.#last.push(now)
    if (this.#last.length > quantileSamples) this.#last.shift()
    const seconds = Math.max((now.nowMs - before.nowMs) / 1_000, 0.001)
    const rate = (name: 'hits' | 'absent' | 'expired' | 'unproven' | 'requested') =>
      (now[name] - before[name]) / seconds
    const requests = ((now.durations.at(-1) ?? 0) - (before.durations.at(-1) ?? 0)) / seconds
    const recent = grown(now.durations, oldest.durations)
    const delays = grown(now.loopDelays, oldest.loopDelays)
    const numbers: Readonly<Record<SampleColumn, number | undefined>> = {
      time: unixMs / 1_000,
      hits: rate('hits'),
      absent: rate('absent'),
      expired: rate('expired'),
      unproven: rate('unproven'),
      requested: rate('requested'),
      requests,
      p50Ms: inMs(quantile(this.#bounds, recent, 0.5)),
      p99Ms: inMs(quantile(this.#bounds, recent, 0.99)),
      // While the feed is idle, nothing has to be proven, and the age only shows for how long.
      leaseAgeMs: current.feed === 'idle' ? undefined : current.leaseAgeMs,
      memoryBytes: Object.values(memory()).reduce((sum, { bytes }) => sum + bytes, 0),
      residentBytes: process.memoryUsage.rss(),
      loopDelayMs: inMs(quantile(eventLoopDelay.bounds, delays, 0.99)),
    }
    return sampleColumns.map((column) => rounded(numbers[column]))
  }

  #counters({ stats }: CacheStatus): Counters {
    const { requests, eventLoopDelay, clock } = this.#sources
    let durations: readonly number[] = []
    for (const { seconds } of requests.durations()) {
      this.#bounds = seconds.bounds
      durations = seconds.cumulative().map((count, index) => count + (durations[index] ?? 0))
    }
    return {
      nowMs: clock.now(),
      hits: stats.hits,
      absent: stats.missesAbsent,
      expired: stats.missesExpired,
      unproven: stats.missesUnproven,
      requested: stats.missesRequested,
      durations,
      loopDelays: eventLoopDelay.cumulative(),
    }
  }
}

/** Returns the number of new observations in each bucket, from two lists of cumulative counts. */
function grown(now: readonly number[], before: readonly number[]): number[] {
  const total = now.map((count, index) => count - (before[index] ?? 0))
  return total.map((count, index) => count - (total[index - 1] ?? 0))
}

function inMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1_000
}

function rounded(number: number | undefined): number | null {
  return number === undefined || !Number.isFinite(number) ? null : Math.round(number * 1_000) / 1_000
}
