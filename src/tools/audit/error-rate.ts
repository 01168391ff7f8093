/** One-sided 95 % quantile of the normal distribution. */
const z = 1.645

/**
 * Returns the upper bound of the true error rate, with 95 % confidence, after `errors` in `trials`; undefined if there
 * were no trials. Without errors it is 3/n (Hanley and Lippman-Hand, JAMA 1983), otherwise Wilson's bound.
 */
export function errorRateAtMost(errors: number, trials: number): number | undefined {
  if (trials === 0) return undefined
  if (errors === 0) return Math.min(1, 3 / trials)
  const rate = errors / trials
  const spread = z * Math.sqrt((rate * (1 - rate)) / trials + z ** 2 / (4 * trials ** 2))
  return (rate + z ** 2 / (2 * trials) + spread) / (1 + z ** 2 / trials)
}
