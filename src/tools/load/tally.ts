import { Latencies, type LatencySummary } from './latencies.js'
import { type Operation, operations } from './mix.js'

export interface TallySummary {
  readonly answered: number
  /** Number of answers that were neither 2xx nor, for a get, 404. */
  readonly failed: number
  /** Number of answers, by operation and status code. */
  readonly statuses: Readonly<Partial<Record<Operation, Readonly<Record<string, number>>>>>
  /** Latencies of the successful answers. */
  readonly latencies: Readonly<Partial<Record<Operation, LatencySummary>>>
  /** Latencies of the failed answers. A refusal may be faster or slower than any other answer. */
  readonly failedLatencies: LatencySummary
}

/** Results of the requests of a load. */
export class RequestTally {
  readonly #statuses = new Map<Operation, Map<number, number>>()
  readonly #latencies = new Map<Operation, Latencies>()
  readonly #failedLatencies = new Latencies()
  readonly #recent = new Latencies()
  #answered = 0
  #failed = 0

  add(operation: Operation, status: number, latencyMs: number): void {
    const statuses = madeIfMissing(this.#statuses, operation, () => new Map<number, number>())
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
    this.#answered++
    this.#recent.add(latencyMs)
    if (isGood(operation, status)) {
      madeIfMissing(this.#latencies, operation, () => new Latencies()).add(latencyMs)
    } else {
      this.#failed++
      this.#failedLatencies.add(latencyMs)
    }
  }

  get failed(): number {
    return this.#failed
  }

  /** Returns the latencies of all answers since the previous call. */
  recent(): LatencySummary {
    const summary = this.#recent.summary()
    this.#recent.reset()
    return summary
  }

  summary(): TallySummary {
    return {
      answered: this.#answered,
      failed: this.#failed,
      statuses: byOperation(this.#statuses, (counts) => Object.fromEntries(counts)),
      latencies: byOperation(this.#latencies, (latencies) => latencies.summary()),
      failedLatencies: this.#failedLatencies.summary(),
    }
  }
}

function byOperation<From, To>(
  map: ReadonlyMap<Operation, From>,
  convert: (from: From) => To,
): Partial<Record<Operation, To>> {
  return Object.fromEntries(
    operations.flatMap((operation) => {
      const from = map.get(operation)
      return from === undefined ? [] : [[operation, convert(from)]]
    }),
  )
}

/** Returns true for a success. For a get, 404 is one: that there is no such entry is an answer like any other. */
function isGood(operation: Operation, status: number): boolean {
  return (status >= 200 && status < 300) || (status === 404 && operation === 'get')
}

function madeIfMissing<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const there = map.get(key)
  if (there !== undefined) return there
  const made = make()
  map.set(key, made)
  return made
}
