/** Distribution of the keys: all of `count` are equally frequent, or, as in most caches, a few are very frequent. */
export interface KeyChoice {
  readonly count: number
  /** Exponent of the distribution: 0 if all keys are equally frequent; about 1 for typical web traffic. */
  readonly exponent: number
}

const most = 10_000_000

/** Parses `uniform:COUNT`, `zipf:COUNT` or `zipf:COUNT:EXPONENT`. Throws an Error that says what is wrong. */
export function parseKeyChoice(text: string): KeyChoice {
  const [, kind, number, power] = /^(uniform|zipf):(\d+)(?::(\d+(?:\.\d+)?))?$/.exec(text) ?? []
  const count = Number(number)
  const exponent = kind === 'zipf' ? Number(power ?? 1) : power === undefined ? 0 : Number.NaN
  if (!(count >= 1 && count <= most && exponent >= 0 && exponent <= 10))
    throw new Error(`must be uniform:COUNT or zipf:COUNT[:EXPONENT], up to ${most} keys, not "${text}"`)
  return { count, exponent }
}

/**
 * Returns a function that draws numbers from 1 to `count`, of which 1 is the most frequent. It uses the inverse of the
 * cumulated weights 1 / rank^exponent.
 */
export function drawKeys({ count, exponent }: KeyChoice, random: () => number): () => number {
  if (exponent === 0) return () => 1 + Math.floor(random() * count)
  const cumulated = new Float64Array(count)
  let total = 0
  for (let rank = 1; rank <= count; rank++) {
    total += rank ** -exponent
    cumulated[rank - 1] = total
  }
  return () => {
    const wanted = random() * total
    let [low, high] = [0, count - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((cumulated[middle] as number) > wanted) high = middle
      else low = middle + 1
    }
    return low + 1
  }
}
