/** The normal distribution's one-sided 95 % quantile. */
const z = 1.645

/**
 * With 95 % confidence the true rate is below this, after `errors` among `trials`; undefined before the first
 * trial. Where none was seen it is 3/n (Hanley and Lippman-Hand, JAMA 1983), otherwise Wilson's bound.
 */
export function errorRateAtMost(errors: number, trials: number): number | undefined {
  if (trials === 0) return undefined
  if (errors === 0) return Math.min(1, 3 / trials)
  const rate = errors / trials
  const spread = z * Math.sqrt((rate * (1 - rate)) / trials + z ** 2 / (4 * trials ** 2))
  return (rate + z ** 2 / (2 * trials) + spread) / (1 + z ** 2 / trials)
}
