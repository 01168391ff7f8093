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
  /** One statement for many keys, each named once. Answers by key. Gets a part where the statement of a batch has failed. */
  readonly run: (items: readonly I[], part?: BatchPart) => Promise<ReadonlyMap<string, O>>
  /** Tells which of these keys are locked, so that the others need not be found by halving. */
  readonly lockedOf?: (keys: readonly string[]) => Promise<ReadonlySet<string>>
  /** Shared with others; a batch is put together when it has one. */
  readonly slots: Semaphore
  /** Shared with others; taken before one of `slots`. */
  readonly valueSlots?: Semaphore
  /** Shared with others; fewer than `slots`, so that items which wait for a lock never take all of those. */
  readonly lockSlots: Semaphore
  readonly maxItems: number
  readonly maxBytes: number
  readonly bytesOf: (item: I) => number
  /**
   * An item waits for the statement in flight that has its key. Otherwise two writes of a key may be under way in
   * two statements, and the later one may be the first to commit.
   */
  readonly keepsOrder: boolean
  /**
   * An item that has waited longer for its statement to begin is refused as busy. Nor is a batch split for longer; for an item
   * that takes too long, until as much time has passed once more.
   */
  readonly maxWaitMs: number
  /** True if the answer says that the item has to be sent again, by itself or with fewer others. */
  readonly isPostponed?: (answer: O) => boolean
  /** Observes how many items each batch has. */
  readonly sizes: Histogram
  readonly operation: BatchOperation
  /** Told how each batch has fared. */
  readonly health?: StoreHealth | undefined
  readonly tracer?: BatchTracer | undefined
}

/** Beside a statement that hangs, and with never a turn that brings nothing, the next one begins all the same. */
const maxGatheringMs = 2

/** What a caller gets: the answer, and the item that was sent under its key, which may be a later one. */
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
 * Many callers, one statement. Nobody waits for company while the store has nothing to do: a statement begins within the
 * turn of the event loop in which its first item came. Beside one in flight the next begins once a turn has brought
 * nothing more, or that one ends. Of several items for one key in a batch, the last is sent.
 */
export class Batcher<I extends { readonly key: string }, O> {
  readonly #options: BatcherOptions<I, O>
  #waiting = new Map<string, Waiting<I, O>>()
  /** The keys in flight, and those that wait for one of them; where the order is kept. */
  readonly #underWay = new Set<string>()
  readonly #behind = new Map<string, Waiting<I, O>>()
  /** A batch is to be put together as soon as there is a slot for it. */
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
   * Clients that were answered together come back together, though not in one turn: whoever came first would have a
   * statement, and a commit, for themselves (bench/README.md).
   */
  #gather(sizeBefore: number, untilMs: number): void {
    const { clock, slots } = this.#options
    const { size } = this.#waiting
    const moreMayCome = size > sizeBefore && clock.now() < untilMs
    if (moreMayCome && !slots.isIdle) clock.defer(() => this.#gather(size, untilMs))
    else this.#acquire(() => void this.#send())
  }

  /** Nobody who has one of `slots` waits for one of `valueSlots`. */
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

  /** The next batch, oldest items first, within the bounds. What has waited too long is refused instead. */
  #take(): Waiting<I, O>[] {
    const { clock, maxItems, maxBytes, maxWaitMs, bytesOf, keepsOrder } = this.#options
    const overdueMs = clock.now() - maxWaitMs
    const batch: Waiting<I, O>[] = []
    let bytes = 0
    for (const [key, waiting] of this.#waiting) {
      if (waiting.sinceMs < overdueMs) {
        const reason = new CacheError('store-busy', 'waited too long for a statement to begin')
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
    // Before the next batch is put together.
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
   * Sends the items again that found a row locked, each by itself, or those that found the whole table locked, together. The
   * others of their batch have been answered: they must not wait for somebody else's transaction.
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
      // Others that wait for locks take turns with it.
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

  /** Puts what has to be sent again before everything that waits. Returns the others. */
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
    // Each has been promised as much for its statement to begin, and again for its end.
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

/** Returns what all items have in common that waited for one lock; undefined for an item that did not wait for a lock. */
function lockOf(result: PromiseSettledResult<unknown>): unknown {
  if (result.status === 'fulfilled' || !hasCode(result.reason, 'row-locked', 'store-locked')) return undefined
  const { isOfWholeStatement } = result.reason as CacheError
  return isOfWholeStatement ? result.reason : result
}
