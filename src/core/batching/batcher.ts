import { CacheError, hasCode } from '../errors.js'
import type { Histogram } from '../histogram.js'
import type { BatchPart, Clock } from '../ports.js'
import type { BatchOperation } from '../stats.js'
import type { BatchTracer } from '../tracer.js'
import { runBisecting } from './bisect.js'
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
  readonly bytesOf: (item: I) => number
  /**
   * True if an item waits for the statement in flight that has its key. Otherwise two writes of a key may be in flight
   * in two statements, and the later one may commit first.
   */
  readonly keepsOrder: boolean
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

/** Upper bound on gathering: a batch is sent after this long even if more items keep arriving. */
const maxGatheringMs = 2

/** Result for a caller: the answer, and the item that was sent under its key, which may be a later one. */
export interface Batched<I, O> {
  readonly sent: I
  readonly answer: O | undefined
}

interface Waiting<I, O> {
  item: I
  readonly sinceMs: number
  readonly callers: Caller<I, O>[]
}

type Result<O> = PromiseSettledResult<O | undefined>

interface Pair<I, O> {
  readonly waiting: Waiting<I, O>
  readonly result: Result<O>
}

interface Caller<I, O> {
  resolve(batched: Batched<I, O>): void
  reject(reason: unknown): void
  readonly origin: unknown
}

/**
 * Combines items of many callers into one statement. While the store is idle, a statement starts within the turn of the
 * event loop in which its first item arrived. While a statement is in flight, the next one starts once a turn has
 * brought no more items, or when that one ends. If a batch gets several items for one key, the last one is sent.
 */
export class Batcher<I extends { readonly key: string }, O> {
  readonly #options: BatcherOptions<I, O>
  #waiting = new Map<string, Waiting<I, O>>()
  /** The keys in flight, and the items that wait for one of them; only used with `keepsOrder`. */
  readonly #underWay = new Set<string>()
  readonly #behind = new Map<string, Waiting<I, O>>()
  /** True if a batch will be assembled as soon as a slot is free. */
  #isQueued = false

  constructor(options: BatcherOptions<I, O>) {
    this.#options = options
  }

  add(item: I): Promise<Batched<I, O>> {
    return new Promise((resolve, reject) => {
      const caller = { resolve, reject, origin: this.#options.tracer?.origin() }
      const queue = this.#underWay.has(item.key) ? this.#behind : this.#waiting
      const waiting = queue.get(item.key)
      if (waiting) {
        waiting.item = item
        waiting.callers.push(caller)
      } else {
        const sinceMs = this.#options.clock.now()
        queue.set(item.key, { item, sinceMs, callers: [caller] })
      }
      this.#begin()
    })
  }

  #begin(): void {
    if (this.#isQueued || this.#waiting.size === 0) return
    this.#isQueued = true
    const { clock } = this.#options
    const untilMs = clock.now() + maxGatheringMs
    clock.defer(() => this.#gather(0, untilMs))
  }

  /**
   * Waits for more items before the next batch is sent. Clients that were answered together send their next requests
   * together, but not in one turn of the event loop. Without gathering, the first of them would get a statement and a
   * commit of its own (bench/README.md).
   */
  #gather(sizeBefore: number, untilMs: number): void {
    const { clock, slots } = this.#options
    const { size } = this.#waiting
    const moreMayCome = size > sizeBefore && clock.now() < untilMs
    if (moreMayCome && !slots.isIdle) clock.defer(() => this.#gather(size, untilMs))
    else this.#acquire(() => void this.#send())
  }

  /** Acquires the slots in a fixed order, so that no holder of one of `slots` waits for one of `valueSlots`. */
  #acquire(start: () => void): void {
    const { slots, valueSlots } = this.#options
    if (valueSlots) valueSlots.acquire(() => slots.acquire(start))
    else slots.acquire(start)
  }

  #release(): void {
    const { slots, valueSlots } = this.#options
    slots.release()
    valueSlots?.release()
  }

  /**
   * Removes and returns the next batch within the bounds, oldest items first. Rejects items that have waited too long.
   */
  #take(): Waiting<I, O>[] {
    const { clock, maxItems, maxBytes, maxWaitMs, bytesOf, keepsOrder } = this.#options
    const overdueMs = clock.now() - maxWaitMs
    const batch: Waiting<I, O>[] = []
    let bytes = 0
    for (const [key, waiting] of this.#waiting) {
      if (waiting.sinceMs < overdueMs) {
        const reason = new CacheError('store-busy', 'the request waited too long for its statement to start')
        for (const caller of waiting.callers) caller.reject(reason)
      } else {
        bytes += bytesOf(waiting.item)
        if (batch.length > 0 && (batch.length >= maxItems || bytes > maxBytes)) break
        batch.push(waiting)
        if (keepsOrder) this.#underWay.add(key)
      }
      this.#waiting.delete(key)
    }
    return batch
  }

  async #send(): Promise<void> {
    const { clock, maxWaitMs } = this.#options
    this.#isQueued = false
    const batch = this.#take()
    this.#begin()
    const lateMs = clock.now() + maxWaitMs
    const results = batch.length > 0 ? await this.#run(batch, lateMs) : []
    // Items to send again must be queued before the next batch is assembled.
    const pairs = this.#postpone(
      batch.map((waiting, index) => ({ waiting, result: results[index] as Result<O> })),
    )
    this.#release()
    const locked = pairs.filter(({ result }) => lockOf(result) !== undefined)
    this.#end(locked.length === 0 ? pairs : pairs.filter((pair) => !locked.includes(pair)))
    for (const lock of new Set(locked.map(({ result }) => lockOf(result)))) {
      const group = locked.filter(({ result }) => lockOf(result) === lock)
      this.#waitForLock(group, lateMs)
    }
  }

  /**
   * Sends the items again that found a row locked, each alone, or those that found the whole table locked, together.
   * The other items of their batch have been answered: they must not wait for another client's transaction.
   */
  #waitForLock(group: readonly Pair<I, O>[], lateMs: number): void {
    const { clock, lockSlots } = this.#options
    const again = async () => {
      const isLate = clock.now() >= lateMs
      const batch = group.map(({ waiting }) => waiting)
      const results = isLate ? undefined : await this.#run(batch, lateMs)
      const pairs = this.#postpone(
        group.map(({ waiting, result }, index) => ({ waiting, result: results?.[index] ?? result })),
      )
      this.#release()
      lockSlots.release()
      // The slots were released: others that wait for locks take turns with this group.
      const isLocked =
        !isLate && pairs.length > 0 && pairs.every(({ result }) => lockOf(result) !== undefined)
      if (isLocked) this.#waitForLock(pairs, lateMs)
      else this.#end(pairs)
    }
    lockSlots.acquire(() => this.#acquire(() => void again()))
  }

  #end(pairs: readonly Pair<I, O>[]): void {
    const { health, operation, clock } = this.#options
    if (health && pairs.length > 0)
      health.observe(
        operation,
        pairs.map(({ result }) => result),
        clock.now(),
      )
    if (this.#options.keepsOrder) this.#landed(pairs)
    this.#begin()
    for (const { waiting, result } of pairs) {
      for (const caller of waiting.callers) {
        if (result.status === 'fulfilled') caller.resolve({ sent: waiting.item, answer: result.value })
        else caller.reject(result.reason)
      }
    }
  }

  /** Puts the items to send again in front of all waiting items. Returns the other items. */
  #postpone(pairs: readonly Pair<I, O>[]): readonly Pair<I, O>[] {
    const { isPostponed } = this.#options
    if (isPostponed === undefined) return pairs
    const isAgain = ({ result }: Pair<I, O>) =>
      result.status === 'fulfilled' && result.value !== undefined && isPostponed(result.value)
    const again = pairs.filter(isAgain)
    if (again.length === 0) return pairs
    const waiting = new Map<string, Waiting<I, O>>()
    for (const { waiting: earlier } of again) {
      const { key } = earlier.item
      const later = this.#waiting.get(key)
      const callers = later ? [...earlier.callers, ...later.callers] : earlier.callers
      waiting.set(key, { item: later?.item ?? earlier.item, sinceMs: earlier.sinceMs, callers })
    }
    for (const [key, later] of this.#waiting) if (!waiting.has(key)) waiting.set(key, later)
    this.#waiting = waiting
    return pairs.filter((pair) => !isAgain(pair))
  }

  #run(batch: readonly Waiting<I, O>[], lateMs: number): Promise<Result<O>[]> {
    const { clock, run, lockedOf, maxWaitMs, sizes, operation, tracer } = this.#options
    const items = batch.map(({ item }) => item)
    // Each item may wait `maxWaitMs` for its statement to start, and as long again for it to finish.
    const timeLeftMs = () => Math.min(...batch.map(({ sinceMs }) => sinceMs)) + 2 * maxWaitMs - clock.now()
    const isLate = () => clock.now() >= lateMs
    const send = () => runBisecting(items, { run, lockedOf, isLate, timeLeftMs })
    sizes.observe(items.length)
    if (tracer === undefined) return send()
    const origins = batch.flatMap(({ callers }) => callers.map(({ origin }) => origin))
    return tracer.batch({ operation, keys: items.length, origins }, send)
  }

  #landed(pairs: readonly Pair<I, O>[]): void {
    for (const {
      waiting: { item },
    } of pairs) {
      this.#underWay.delete(item.key)
      const next = this.#behind.get(item.key)
      if (next === undefined) continue
      this.#behind.delete(item.key)
      this.#waiting.set(item.key, next)
    }
  }
}

/**
 * Returns a value that is equal for all items that wait for the same lock; undefined for an item that does not wait for
 * a lock.
 */
function lockOf(result: PromiseSettledResult<unknown>): unknown {
  if (result.status === 'fulfilled' || !hasCode(result.reason, 'row-locked', 'store-locked')) return undefined
  const { isOfWholeStatement } = result.reason as CacheError
  return isOfWholeStatement ? result.reason : result
}
