import type { Version } from './entry.js'

const capacity = 10_000

/**
 * The changes applied last: what is in here has been seen, what is not may have been.
 *
 * Every change of a fleet passes through here in every sidecar, so they are found by their versions, which are unique
 * (P1), and no text is made of version and id.
 */
export class RecentChanges {
  /** The number of each, counted from the start. */
  readonly #numbers = new Map<Version, number>()
  /**
   * In the order of their numbers, the latest in place of the oldest. (The map knows its order as well, but looks
   * for its first key among all that were deleted: ten times the cost of everything else that a change costs.)
   */
  readonly #versions = new Array<Version | undefined>(capacity).fill(undefined)
  readonly #ids = new Array<string | undefined>(capacity).fill(undefined)
  #count = 0

  /** How many there have been. */
  get count(): number {
    return this.#count
  }

  add(id: string, version: Version): void {
    // Our own write comes back as a change: it was applied when it was acknowledged.
    if (this.has(id, version)) return
    const place = this.#count % capacity
    const oldest = this.#versions[place]
    if (oldest !== undefined) this.#numbers.delete(oldest)
    this.#versions[place] = version
    this.#ids[place] = id
    this.#numbers.set(version, ++this.#count)
  }

  has(id: string, version: Version): boolean {
    return this.numberOf(id, version) !== undefined
  }

  /** Undefined for one that is not among them. */
  numberOf(id: string, version: Version): number | undefined {
    const number = this.#numbers.get(version)
    return number !== undefined && this.#ids[(number - 1) % capacity] === id ? number : undefined
  }

  clear(): void {
    this.#numbers.clear()
    this.#versions.fill(undefined)
    this.#ids.fill(undefined)
  }
}
