import { CacheError } from '../errors.js'
import type { BatcherOptions } from './batcher-options.js'

/** Result for a caller: the answer, and the item that was sent under its key, which may be a later one. */
export interface Batched<I, O> {
  readonly sent: I
  readonly answer: O | undefined
}

export interface Caller<I, O> {
  resolve(batched: Batched<I, O>): void
  reject(reason: unknown): void
  readonly origin: unknown
}

/** An item, and all callers that wait for its key. */
export interface Waiting<I, O> {
  item: I
  readonly sinceMs: number
  readonly callers: Caller<I, O>[]
}

type Bounds<I> = Pick<
  BatcherOptions<I, unknown>,
  'clock' | 'maxItems' | 'maxBytes' | 'bytesOf' | 'groupOf' | 'maxWaitMs' | 'keepsOrder'
>

/** The items of a batcher that have not been sent yet, one per key, oldest first. */
export class WaitingItems<I extends { readonly key: string }, O> {
  readonly #bounds: Bounds<I>
  #waiting = new Map<string, Waiting<I, O>>()
  /** The keys in flight, and the items that wait for one of them; only used with `keepsOrder`. */
  readonly #underWay = new Set<string>()
  readonly #behind = new Map<string, Waiting<I, O>>()

  constructor(bounds: Bounds<I>) {
    this.#bounds = bounds
  }

  /** Number of keys that can be sent now. */
  get size(): number {
    return this.#waiting.size
  }

  /** Adds an item. It takes the place of a waiting one of the same key, whose callers get the same result. */
  add(item: I, caller: Caller<I, O>): void {
    const queue = this.#underWay.has(item.key) ? this.#behind : this.#waiting
    const waiting = queue.get(item.key)
    if (waiting) {
      waiting.item = item
      waiting.callers.push(caller)
    } else {
      queue.set(item.key, { item, sinceMs: this.#bounds.clock.now(), callers: [caller] })
    }
  }

  /**
   * Removes and returns the next batch within the bounds: the items in the group of the oldest one, oldest first.
   * Rejects items that have waited too long.
   */
  take(): Waiting<I, O>[] {
    const { clock, maxItems, maxBytes, maxWaitMs, bytesOf = () => 0, groupOf, keepsOrder } = this.#bounds
    const overdueMs = clock.now() - maxWaitMs
    const batch: Waiting<I, O>[] = []
    let bytes = 0
    for (const [key, waiting] of this.#waiting) {
      if (waiting.sinceMs < overdueMs) {
        const reason = new CacheError('store-busy', 'the request waited too long for its statement to start')
        for (const caller of waiting.callers) caller.reject(reason)
      } else {
        const [oldest] = batch
        if (groupOf && oldest && groupOf(waiting.item) !== groupOf(oldest.item)) continue
        bytes += bytesOf(waiting.item)
        if (batch.length > 0 && (batch.length >= maxItems || bytes > maxBytes)) break
        batch.push(waiting)
        if (keepsOrder) this.#underWay.add(key)
      }
      this.#waiting.delete(key)
    }
    return batch
  }

  /** Puts items to send again in front of all others. A later item of the same key takes the place of the earlier. */
  putBack(again: readonly Waiting<I, O>[]): void {
    const waiting = new Map<string, Waiting<I, O>>()
    for (const earlier of again) {
      const { key } = earlier.item
      const later = this.#waiting.get(key)
      const callers = later ? [...earlier.callers, ...later.callers] : earlier.callers
      waiting.set(key, { item: later?.item ?? earlier.item, sinceMs: earlier.sinceMs, callers })
    }
    for (const [key, later] of this.#waiting) if (!waiting.has(key)) waiting.set(key, later)
    this.#waiting = waiting
  }

  /** Ends the flight of a key, so that an item behind it can be sent. */
  landed(key: string): void {
    this.#underWay.delete(key)
    const next = this.#behind.get(key)
    if (next === undefined) return
    this.#behind.delete(key)
    this.#waiting.set(key, next)
  }
}
