import { CacheError } from './errors.js'
import type { Clock } from './ports.js'
import { runSplitting } from './split.js'

export interface BatcherOptions<I, O> {
  readonly clock: Clock
  /** One statement for many keys, each named once. Answers by key. */
  readonly run: (items: readonly I[]) => Promise<ReadonlyMap<string, O>>
  readonly maxInFlight: number
  readonly maxItems: number
  readonly maxBytes: number
  readonly bytesOf: (item: I) => number
  /** An item that has waited longer for its statement to begin is refused as busy. */
  readonly maxWaitMs: number
}

/** What a caller gets: the answer, and the item that was sent under its key, which may be a later one. */
export interface Batched<I, O> {
  readonly sent: I
  readonly answer: O | undefined
}

interface Waiting<I, O> {
  item: I
  readonly sinceMs: number
  readonly callers: { resolve(batched: Batched<I, O>): void; reject(reason: unknown): void }[]
}

/**
 * Many callers, one statement. Nobody waits for company: a statement begins within the turn of the event
 * loop in which its first item came, or as soon as one of those in flight ends. What arrives meanwhile
 * shares the next one. Of several items for one key in a batch, the last is sent.
 */
export class Batcher<I extends { readonly key: string }, O> {
  readonly #options: BatcherOptions<I, O>
  #waiting = new Map<string, Waiting<I, O>>()
  #inFlight = 0
  #deferred = false

  constructor(options: BatcherOptions<I, O>) {
    this.#options = options
  }

  add(item: I): Promise<Batched<I, O>> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(item.key)
      if (waiting) {
        waiting.item = item
        waiting.callers.push({ resolve, reject })
      } else {
        const sinceMs = this.#options.clock.now()
        this.#waiting.set(item.key, { item, sinceMs, callers: [{ resolve, reject }] })
      }
      this.#begin()
    })
  }

  #begin(): void {
    if (this.#deferred || this.#inFlight >= this.#options.maxInFlight) return
    this.#deferred = true
    this.#options.clock.defer(() => {
      this.#deferred = false
      while (this.#waiting.size > 0 && this.#inFlight < this.#options.maxInFlight)
        void this.#send(this.#take())
    })
  }

  /** The next batch, oldest items first, within the bounds; at least one item. */
  #take(): Waiting<I, O>[] {
    const { maxItems, maxBytes, bytesOf } = this.#options
    const batch: Waiting<I, O>[] = []
    let bytes = 0
    for (const [key, waiting] of this.#waiting) {
      bytes += bytesOf(waiting.item)
      if (batch.length > 0 && (batch.length >= maxItems || bytes > maxBytes)) break
      this.#waiting.delete(key)
      batch.push(waiting)
    }
    return batch
  }

  async #send(taken: readonly Waiting<I, O>[]): Promise<void> {
    this.#inFlight++
    const { clock, maxWaitMs, run } = this.#options
    const overdueMs = clock.now() - maxWaitMs
    const batch: Waiting<I, O>[] = []
    for (const waiting of taken) {
      if (waiting.sinceMs >= overdueMs) batch.push(waiting)
      else {
        const reason = new CacheError('store-busy', 'the database is busy')
        for (const caller of waiting.callers) caller.reject(reason)
      }
    }
    const items = batch.map(({ item }) => item)
    const results = items.length > 0 ? await runSplitting(items, run) : []
    this.#inFlight--
    this.#begin()
    batch.forEach(({ item, callers }, index) => {
      const result = results[index] as PromiseSettledResult<O | undefined>
      for (const caller of callers) {
        if (result.status === 'fulfilled') caller.resolve({ sent: item, answer: result.value })
        else caller.reject(result.reason)
      }
    })
  }
}
