export type Operation = 'get' | 'set' | 'del'

/** Operations, in the order in which they are reported. */
export const operations: readonly Operation[] = ['get', 'set', 'del']

/** Parses the weights of the operations, such as `get=90,set=10`. Throws an Error that says what is wrong. */
export function parseMix(text: string): ReadonlyMap<Operation, number> {
  const weights = new Map<Operation, number>()
  for (const part of text.split(',')) {
    const [name = '', number = '', ...more] = part.split('=')
    const operation = operations.find((one) => one === name)
    const weight = /^\d+(\.\d+)?$/.test(number) ? Number(number) : Number.NaN
    if (operation === undefined || !(weight > 0) || weights.has(operation) || more.length > 0)
      throw new Error(`must be like get=90,set=10 (of ${operations.join(', ')}), not "${text}"`)
    weights.set(operation, weight)
  }
  return weights
}

/** Returns a function that draws operations. `random` returns numbers from 0 (inclusive) to 1 (exclusive). */
export function drawFrom(weights: ReadonlyMap<Operation, number>, random: () => number): () => Operation {
  const all = [...weights]
  const total = all.reduce((sum, [, weight]) => sum + weight, 0)
  return () => {
    let left = random() * total
    for (const [operation, weight] of all) {
      left -= weight
      if (left < 0) return operation
    }
    return (all.at(-1) as [Operation, number])[0]
  }
}
