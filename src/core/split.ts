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

/**
 * Runs one statement for many items. If it fails because of one of its rows, runs it again for each half, so that only the
 * guilty item fails. Any other error is everybody's.
 *
 * The answer has one result per item, in their order; `run` answers by key. Once it `isLate`, what has not been
 * tried is refused as busy: with every row locked, each half would take its time.
 */
export async function runSplitting<I extends { readonly key: string }, O>(
  items: readonly I[],
  run: (items: readonly I[]) => Promise<ReadonlyMap<string, O>>,
  isLate: () => boolean = () => false,
): Promise<PromiseSettledResult<O | undefined>[]> {
  try {
    const answers = await run(items)
    return items.map(({ key }) => ({ status: 'fulfilled', value: answers.get(key) }))
  } catch (reason) {
    if (items.length === 1 || !mayBeOfOneItem(reason)) {
      return items.map(() => ({ status: 'rejected', reason }))
    }
    const middle = items.length >> 1
    const results: PromiseSettledResult<O | undefined>[] = []
    for (const half of [items.slice(0, middle), items.slice(middle)]) {
      if (isLate()) results.push(...half.map(() => ({ status: 'rejected', reason: tooLate }) as const))
      else results.push(...(await runSplitting(half, run, isLate)))
    }
    return results
  }
}

function mayBeOfOneItem(reason: unknown): boolean {
  return hasCode(reason, ...ofOneItem) && !(reason as CacheError).isOfWholeStatement
}
