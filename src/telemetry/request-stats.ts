import { Histogram } from '../core/histogram.js'

/** Source of an answer: memory, memory without proof, a pending write, the database, or none. */
export type Source = 'cache' | 'unproven' | 'kept' | 'db' | 'none'

/**
 * Outcome of a request. `not_held`: the client asked for memory only, which did not have the entry. `refused`: an error
 * of the client.
 */
export type Outcome = 'ok' | 'not_found' | 'not_held' | 'refused' | 'unavailable' | 'failed'

/** Number of requests with the same route, outcome and source since the process started. */
export class RequestTally {
  readonly route: string
  readonly outcome: Outcome
  readonly source: Source
  readonly #durations: Histogram
  #count = 0

  constructor(route: string, outcome: Outcome, source: Source, durations: Histogram) {
    this.route = route
    this.outcome = outcome
    this.source = source
    this.#durations = durations
  }

  get count(): number {
    return this.#count
  }

  add(durationMs: number): void {
    this.#count++
    this.#durations.observe(durationMs / 1_000)
  }
}

/** Times from request to answer. */
export interface RequestDurations {
  readonly route: string
  readonly source: Source
  readonly seconds: Histogram
}

const boundsInSeconds = [
  0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
  5, 10,
]

/** Counts all requests. A caller that answers many requests of one kind keeps the tally. */
export class RequestStats {
  readonly #tallies = new Map<string, RequestTally>()
  readonly #durations = new Map<string, RequestDurations>()

  /** Returns the tally for these labels. `route` is a template and not a path, because there must be few of them. */
  tally(route: string, status: number, source: Source = 'none'): RequestTally {
    const outcome = outcomeOf(status)
    const name = `${route} ${outcome} ${source}`
    let tally = this.#tallies.get(name)
    if (tally === undefined) {
      tally = new RequestTally(route, outcome, source, this.#secondsOf(route, source))
      this.#tallies.set(name, tally)
    }
    return tally
  }

  tallies(): Iterable<RequestTally> {
    return this.#tallies.values()
  }

  durations(): Iterable<RequestDurations> {
    return this.#durations.values()
  }

  #secondsOf(route: string, source: Source): Histogram {
    const name = `${route} ${source}`
    let durations = this.#durations.get(name)
    if (durations === undefined) {
      durations = { route, source, seconds: new Histogram(boundsInSeconds) }
      this.#durations.set(name, durations)
    }
    return durations.seconds
  }
}

function outcomeOf(status: number): Outcome {
  if (status < 400) return 'ok'
  if (status === 404) return 'not_found'
  if (status < 500) return 'refused'
  if (status === 503) return 'unavailable'
  return status === 504 ? 'not_held' : 'failed'
}
