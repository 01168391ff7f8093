import { type CacheError, hasCode } from '../errors.js'
import type { BatcherOptions } from './batcher-options.js'
import { runBisecting } from './bisect.js'
import { type Batched, type Waiting, WaitingItems } from './waiting-items.js'

/** Upper bound on gathering: a batch is sent after this long even if more items keep arriving. */
const maxGatheringMs = 2

type Result<O> = PromiseSettledResult<O | undefined>

interface Pair<I, O> {
  readonly waiting: Waiting<I, O>
  readonly result: Result<O>
}

/**
 * Combines items of many callers into one statement. While the store is idle, a statement starts within the turn of the
 * event loop in which its first item arrived. While a statement is in flight, the next one starts once a turn has
 * brought no more items, or when that one ends. If a batch gets several items for one key, the last one is sent.
 */
export class Batcher<I extends { readonly key: string }, O> {
  readonly #options: BatcherOptions<I, O>
  readonly #waiting: WaitingItems<I, O>
  /** True if a batch will be assembled as soon as a slot is free. */
  #isQueued = false

  constructor(options: BatcherOptions<I, O>) {
    this.#options = options
    this.#waiting = new WaitingItems(options)
  }

  add(item: I): Promise<Batched<I, O>> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(item, { resolve, reject, origin: this.#options.tracer?.origin() })
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

  async #send(): Promise<void> {
    const { clock, maxWaitMs } = this.#options
    this.#isQueued = false
    const batch = this.#waiting.take()
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
    health?.observe(
      operation,
      pairs.map(({ result }) => result),
      clock.now(),
    )
    if (this.#options.keepsOrder) for (const { waiting } of pairs) this.#waiting.landed(waiting.item.key)
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
    this.#waiting.putBack(again.map(({ waiting }) => waiting))
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
