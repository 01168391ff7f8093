import { CacheError, type CacheErrorCode, hasCode } from './errors.js'

const tooLate = new CacheError('store-busy', 'no time was left to find the item at fault')

/** Errors that one item can cause, and that the others of its statement then suffer. */
const ofOneItem: readonly CacheErrorCode[] = [
  'refused',
  'forbidden',
  'row-locked',
  'store-failed',
  'store-suspended',
]

export interface SplittingOptions<I, O> {
  readonly run: (items: readonly I[]) => Promise<ReadonlyMap<string, O>>
  /** Tells which of these keys are locked. Each of them costs a lock timeout where they have to be found by halving. */
  readonly lockedOf?: ((keys: readonly string[]) => Promise<ReadonlySet<string>>) | undefined
  readonly isLate?: () => boolean
}

/**
 * Runs one statement for many items. If it fails because of one of its rows, runs it again for each half, so that only the
 * guilty item fails. Any other error is everybody's.
 *
 * The answer has one result per item, in their order; `run` answers by key. Once it `isLate`, what has not been
 * tried is refused as busy: with every row locked, each half would take its time.
 */
export async function runSplitting<I extends { readonly key: string }, O>(
  items: readonly I[],
  options: SplittingOptions<I, O>,
): Promise<PromiseSettledResult<O | undefined>[]> {
  const { run, isLate = () => false } = options
  try {
    const answers = await run(items)
    return items.map(({ key }) => ({ status: 'fulfilled', value: answers.get(key) }))
  } catch (reason) {
    const refuse = () => ({ status: 'rejected', reason }) as const
    if (items.length === 1 || !mayBeOfOneItem(reason)) return items.map(refuse)
    const locked = hasCode(reason, 'row-locked') ? await lockedOf(items, options) : undefined
    if (locked !== undefined) {
      const free = items.filter(({ key }) => !locked.has(key))
      const results = await runSplitting(free, options)
      const byKey = new Map(free.map(({ key }, index) => [key, results[index]]))
      return items.map(({ key }) => byKey.get(key) ?? refuse())
    }
    const middle = items.length >> 1
    const results: PromiseSettledResult<O | undefined>[] = []
    for (const half of [items.slice(0, middle), items.slice(middle)]) {
      if (isLate()) results.push(...half.map(() => ({ status: 'rejected', reason: tooLate }) as const))
      else results.push(...(await runSplitting(half, options)))
    }
    return results
  }
}

/** Undefined where that does not tell who is guilty: all are locked, or none is any more. */
async function lockedOf<I extends { readonly key: string }>(
  items: readonly I[],
  { lockedOf }: Pick<SplittingOptions<I, unknown>, 'lockedOf'>,
): Promise<ReadonlySet<string> | undefined> {
  const locked = await lockedOf?.(items.map(({ key }) => key)).catch(() => undefined)
  return locked !== undefined && locked.size > 0 && locked.size < items.length ? locked : undefined
}

function mayBeOfOneItem(reason: unknown): boolean {
  return hasCode(reason, ...ofOneItem) && !(reason as CacheError).isOfWholeStatement
}
