/** Which keys are asked for: all of `count` alike, or as in most caches, few of them very often. */
export interface KeyChoice {
  readonly count: number
  /** 0 for all alike; about 1 for what is seen of web traffic. */
  readonly exponent: number
}

const most = 10_000_000

/** `uniform:COUNT`, `zipf:COUNT` or `zipf:COUNT:EXPONENT`. Throws an Error that says what is wrong. */
export function parseKeyChoice(text: string): KeyChoice {
  const [, kind, number, power] = /^(uniform|zipf):(\d+)(?::(\d+(?:\.\d+)?))?$/.exec(text) ?? []
  const count = Number(number)
  const exponent = kind === 'zipf' ? Number(power ?? 1) : power === undefined ? 0 : Number.NaN
  if (!(count >= 1 && count <= most && exponent >= 0 && exponent <= 10))
    throw new Error(`must be uniform:COUNT or zipf:COUNT[:EXPONENT], up to ${most} keys, not "${text}"`)
  return { count, exponent }
}

/**
 * Draws one number after the other, from 1 to `count`: 1 is the most frequent. By the inverse of the cumulated
 * weights 1 / rank^exponent.
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
