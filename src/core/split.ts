import { hasCode } from './errors.js'

/**
 * Runs one statement for many items. Where the store refuses the data or a row is locked, runs it again for
 * each half, so that only the guilty item fails. Any other error is everybody's.
 *
 * The answer has one result per item, in their order; `run` answers by key. Once it `isLate`, no half is tried
 * any more: with every row locked, each would take its time.
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
    if (items.length === 1 || !hasCode(reason, 'refused', 'row-locked') || isLate()) {
      return items.map(() => ({ status: 'rejected', reason }))
    }
    const middle = items.length >> 1
    const first = await runSplitting(items.slice(0, middle), run, isLate)
    return [...first, ...(await runSplitting(items.slice(middle), run, isLate))]
  }
}
