import type { Version } from './entry.js'

const places = 16_384

/**
 * The changes applied last: what is in here has been seen, what is not may have been.
 *
 * Every change of a fleet passes through here in every sidecar. They are found by their versions, which are unique
 * (P1) and come from one sequence: each has its place, and gives it up to the next one that has the same, 16,384 versions
 * later. With a map of the last 10,000, applying a change took three times as long (bench/README.md).
 */
export class RecentChanges {
  /** NaN: nothing yet. */
  readonly #versions = new Float64Array(places).fill(Number.NaN)
  /** The number of each, counted from the start. */
  readonly #numbers = new Float64Array(places)
  #count = 0

  /** How many there have been. */
  get count(): number {
    return this.#count
  }

  add(version: Version): void {
    const known = Number(version)
    const place = placeOf(known)
    // Our own write comes back as a change: it was applied when it was acknowledged.
    if (place === undefined || this.#versions[place] === known) return
    this.#versions[place] = known
    this.#numbers[place] = ++this.#count
  }

  has(version: Version): boolean {
    return this.numberOf(version) !== undefined
  }

  /** Undefined for one that is not among them. */
  numberOf(version: Version): number | undefined {
    const known = Number(version)
    const place = placeOf(known)
    return place !== undefined && this.#versions[place] === known ? this.#numbers[place] : undefined
  }

  clear(): void {
    this.#versions.fill(Number.NaN)
  }
}

/** None for 0, which every row has that is older than versions, nor for what a number does not hold exactly. */
function placeOf(version: number): number | undefined {
  return version !== 0 && Number.isSafeInteger(version) ? Math.abs(version) % places : undefined
}
