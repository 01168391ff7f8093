/**
 * Returns an estimate of a quantile from the number of observations in each bucket; undefined if there are none. The
 * last bucket has no upper bound: its observations count as the last bound. `fraction` is greater than 0.
 */
export function quantile(
  bounds: readonly number[],
  counts: readonly number[],
  fraction: number,
): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return undefined
  let rank = fraction * total
  for (const [index, count] of counts.entries()) {
    if (rank > count) {
      rank -= count
      continue
    }
    const lower = bounds[index - 1] ?? 0
    const upper = bounds[index] ?? lower
    return lower + (upper - lower) * (rank / count)
  }
  return bounds.at(-1)
}
