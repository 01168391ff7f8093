import { CacheError, type CacheErrorCode, hasCode } from '../errors.js'
import type { BatchPart } from '../ports.js'

const tooLate = new CacheError('store-busy', 'no time was left to find the item that caused the error')

/** Minimum time for a part. If a part gets less, a timeout says nothing about its rows. */
const shortestPartMs = 20

/** Errors that one item can cause, and that then affect the other items of its statement. */
const ofOneItem: readonly CacheErrorCode[] = [
  'refused',
  'forbidden',
  'row-locked',
  'store-failed',
  'store-suspended',
  'binding-unusable',
]

export interface BisectingOptions<I, O> {
  /** Runs the statement. `part` is given if the statement for all items has failed. */
  readonly run: (items: readonly I[], part?: BatchPart) => Promise<ReadonlyMap<string, O>>
  /**
   * Returns the locked ones of these keys. Without it, locked items have to be found by halving, and each of them costs
   * a lock timeout.
   */
  readonly lockedOf?: ((keys: readonly string[]) => Promise<ReadonlySet<string>>) | undefined
  readonly isLate?: () => boolean
  /** Returns the time left to find one item whose row takes too long. Without it, a timeout fails all items. */
  readonly timeLeftMs?: () => number
}

type Results<O> = PromiseSettledResult<O | undefined>[]

type Attempt<O> = { readonly answers: ReadonlyMap<string, O> } | { readonly reason: unknown }

/**
 * Runs one statement for many items. If it fails because of one of its rows, runs it again for each half, so that only
 * the guilty item fails. Any other error fails all items.
 *
 * Returns one result per item, in the order of the items; `run` answers by key. Once `isLate` returns true, items that
 * have not been tried are rejected as busy: if every row were locked, each half would take a lock timeout.
 */
export async function runBisecting<I extends { readonly key: string }, O>(
  items: readonly I[],
  options: BisectingOptions<I, O>,
): Promise<Results<O>> {
  return resultsOf(items, await attempt(items, options), options)
}

async function attempt<I, O>(
  items: readonly I[],
  { run }: BisectingOptions<I, O>,
  part?: BatchPart,
): Promise<Attempt<O>> {
  try {
    return { answers: await run(items, part) }
  } catch (reason) {
    return { reason }
  }
}

async function resultsOf<I extends { readonly key: string }, O>(
  items: readonly I[],
  made: Attempt<O>,
  options: BisectingOptions<I, O>,
  part?: BatchPart,
): Promise<Results<O>> {
  if ('answers' in made)
    return items.map(({ key }) => ({ status: 'fulfilled', value: made.answers.get(key) }))
  const { reason } = made
  if (items.length === 1) return refused(items, reason)
  if (isOfSlowItem(made)) return withoutSlow(items, reason, options, part)
  const locked = hasCode(reason, 'row-locked', 'store-locked') ? await lockedOf(items, options) : undefined
  if (locked !== undefined) {
    const ofRow = rowLocked(reason)
    const free = items.filter(({ key }) => !locked.has(key))
    const results = await resultsOf(free, await attempt<I, O>(free, options, part), options, part)
    const byKey = new Map(results.map((result, index) => [free[index]?.key, result]))
    return items.map(({ key }) => byKey.get(key) ?? { status: 'rejected', reason: ofRow })
  }
  if (!mayBeOfOneItem(reason)) return refused(items, reason)
  const { isLate = () => false } = options
  const results: Results<O> = []
  // Each part is sent only once, because its halves are the next attempt.
  const ofPart = part ?? {}
  for (const half of halvesOf(items)) {
    if (isLate()) results.push(...refused<O>(half, tooLate))
    else results.push(...(await resultsOf(half, await attempt<I, O>(half, options, ofPart), options, ofPart)))
  }
  return results
}

/**
 * Looks for the one item whose row takes too long, in the time left. Parts get less time than their batch had, so that
 * there is enough for every level. If both halves are too slow, the whole store is slow and not one row, so the search
 * ends.
 */
async function withoutSlow<I extends { readonly key: string }, O>(
  items: readonly I[],
  reason: unknown,
  options: BisectingOptions<I, O>,
  part: BatchPart | undefined,
): Promise<Results<O>> {
  const { timeLeftMs = () => 0 } = options
  const leftMs = timeLeftMs()
  const withinMs = part?.withinMs ?? Math.floor(leftMs / (Math.ceil(Math.log2(items.length)) + 2))
  if (leftMs <= 0 || withinMs < shortestPartMs) return refused(items, reason)
  const halves = halvesOf(items)
  const made: Attempt<O>[] = []
  for (const half of halves) made.push(await attempt<I, O>(half, options, { withinMs }))
  if (made.every(isOfSlowItem)) return refused(items, reason)
  const results: Results<O> = []
  for (const [index, half] of halves.entries())
    results.push(...(await resultsOf(half, made[index] as Attempt<O>, options, { withinMs })))
  return results
}

function halvesOf<I>(items: readonly I[]): (readonly I[])[] {
  const middle = items.length >> 1
  return [items.slice(0, middle), items.slice(middle)]
}

function refused<O>(items: readonly unknown[], reason: unknown): Results<O> {
  return items.map(() => ({ status: 'rejected', reason }))
}

/**
 * Returns the locked keys; undefined if they do not identify the guilty items, because all are locked, or none is any
 * more.
 */
async function lockedOf<I extends { readonly key: string }>(
  items: readonly I[],
  { lockedOf }: Pick<BisectingOptions<I, unknown>, 'lockedOf'>,
): Promise<ReadonlySet<string> | undefined> {
  const locked = await lockedOf?.(items.map(({ key }) => key)).catch(() => undefined)
  return locked !== undefined && locked.size > 0 && locked.size < items.length ? locked : undefined
}

/**
 * Returns the error of an item whose row is locked. The error of the statement may look like that of a locked table: a
 * session that waits behind another one for the same row waits for no transaction, and PostgreSQL names no row.
 */
function rowLocked(reason: unknown): unknown {
  if (!hasCode(reason, 'store-locked')) return reason
  return new CacheError('row-locked', (reason as CacheError).message, { cause: reason })
}

function mayBeOfOneItem(reason: unknown): boolean {
  return hasCode(reason, ...ofOneItem) && !(reason as CacheError).isOfWholeStatement
}

/** Returns true if the statement took too long, and the server has rolled it back. */
function isOfSlowItem<O>(made: Attempt<O>): boolean {
  return 'reason' in made && hasCode(made.reason, 'store-busy') && !made.reason.isOfWholeStatement
}
