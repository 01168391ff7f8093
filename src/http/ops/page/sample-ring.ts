import type { Row } from './page-data.js'

/** The last samples, in a fixed amount of memory: eight bytes for each number. */
export class SampleRing {
  readonly #columns: number
  readonly #capacity: number
  readonly #numbers: Float64Array
  /** Number of samples so far. */
  #count = 0

  constructor(columns: number, capacity: number) {
    this.#columns = columns
    this.#capacity = capacity
    this.#numbers = new Float64Array(columns * capacity)
  }

  push(row: Row): void {
    const start = (this.#count++ % this.#capacity) * this.#columns
    // Null is kept as NaN.
    for (let index = 0; index < this.#columns; index++)
      this.#numbers[start + index] = row[index] ?? Number.NaN
  }

  /** Returns the samples, oldest first. */
  rows(): readonly Row[] {
    const length = Math.min(this.#count, this.#capacity)
    return Array.from({ length }, (_, index) => {
      const start = ((this.#count - length + index) % this.#capacity) * this.#columns
      return Array.from(this.#numbers.subarray(start, start + this.#columns), (number) =>
        Number.isNaN(number) ? null : number,
      )
    })
  }
}
