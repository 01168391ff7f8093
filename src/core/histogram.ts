/** How often what was observed fell between which bounds. An observation costs an addition or two, and no allocation. */
export class Histogram {
  /** Upper bounds, ascending; what is above the last is counted, too. */
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
    // The usual ones are small: that is sooner done than halving.
    while (index < bounds.length && value > (bounds[index] as number)) index++
    ;(this.#counts[index] as number)++
    this.#sum += value
  }

  get sum(): number {
    return this.#sum
  }

  /** How many were not above each bound; the last says how many there were. */
  cumulative(): number[] {
    let count = 0
    return Array.from(this.#counts, (more) => {
      count += more
      return count
    })
  }
}
