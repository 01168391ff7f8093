/** Counts observations by bucket. One observation costs a few comparisons and additions, and no allocation. */
export class Histogram {
  /** Upper bounds of the buckets, ascending. Values above the last bound are counted, too. */
  readonly bounds: readonly number[]
  readonly #counts: Float64Array
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    const { bounds } = this
    let index = 0
    // Most values are small, so a linear search is faster than a binary search.
    while (index < bounds.length && value > (bounds[index] as number)) index++
    ;(this.#counts[index] as number)++
    this.#sum += value
  }

  get sum(): number {
    return this.#sum
  }

  /** Returns the number of observations up to each bound. The last number counts all observations. */
  cumulative(): number[] {
    let count = 0
    return Array.from(this.#counts, (more) => {
      count += more
      return count
    })
  }
}
