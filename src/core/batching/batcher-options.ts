import type { Histogram } from '../histogram.js'
import type { BatchPart, Clock } from '../ports.js'
import type { BatchOperation } from '../stats.js'
import type { BatchTracer } from '../tracer.js'
import type { Semaphore } from './semaphore.js'
import type { StoreHealth } from './store-health.js'

export interface BatcherOptions<I, O> {
  readonly clock: Clock
  /**
   * Runs one statement for many distinct keys and answers by key. `part` is given if the statement of a batch has
   * failed.
   */
  readonly run: (items: readonly I[], part?: BatchPart) => Promise<ReadonlyMap<string, O>>
  /** Returns the locked ones of these keys, so that the others need not be found by halving. */
  readonly lockedOf?: (keys: readonly string[]) => Promise<ReadonlySet<string>>
  /** Slots for statements, shared with other batchers. A batch is assembled when it has one. */
  readonly slots: Semaphore
  /** Slots for statements that return values, shared with other batchers. One is taken before one of `slots`. */
  readonly valueSlots?: Semaphore
  /**
   * Slots for items that wait for a lock, shared with other batchers. There are fewer than `slots`, so that waiting
   * items never take all of those.
   */
  readonly lockSlots: Semaphore
  readonly maxItems: number
  readonly maxBytes: number
  /** Returns the size of an item, in bytes. By default it is 0, which suits keys: `maxItems` bounds them, too. */
  readonly bytesOf?: (item: I) => number
  /** Returns the group of an item. One statement has items of one group only. By default all items are in one group. */
  readonly groupOf?: (item: I) => unknown
  /**
   * True if an item waits for the statement in flight that has its key. Otherwise two writes of a key may be in flight
   * in two statements, and the later one may commit first.
   */
  readonly keepsOrder?: boolean
  /**
   * Maximum time that an item waits for its statement to start; then it is rejected as busy. A failed batch is split
   * for no longer than this, or, to find an item that takes too long, for up to twice this time after the oldest item
   * arrived.
   */
  readonly maxWaitMs: number
  /** Returns true if the answer says that the item has to be sent again, alone or with fewer others. */
  readonly isPostponed?: (answer: O) => boolean
  /** Histogram of the number of items per batch. */
  readonly sizes: Histogram
  readonly operation: BatchOperation
  /** Receives the results of each batch. */
  readonly health?: StoreHealth | undefined
  readonly tracer?: BatchTracer | undefined
}
