import { changeName } from './change-name.js'
import type { Version } from './entry.js'

const capacity = 10_000

/** The changes applied last: what is in here has been seen, what is not may have been. */
export class RecentChanges {
  /** The number of each, counted from the start. */
  readonly #numbers = new Map<string, number>()
  /**
   * In the order of their numbers, the latest in place of the oldest. (The map knows its order as well, but looks
   * for its first key among all that were deleted: ten times the cost of everything else that a change costs.)
   */
  readonly #ring = new Array<string | undefined>(capacity).fill(undefined)
  #count = 0

  /** How many there have been. */
  get count(): number {
    return this.#count
  }

  add(id: string, version: Version): void {
    const change = changeName(id, version)
    // Our own write comes back as a change: it was applied when it was acknowledged.
    if (this.#numbers.has(change)) return
    const place = this.#count % capacity
    const oldest = this.#ring[place]
    if (oldest !== undefined) this.#numbers.delete(oldest)
    this.#ring[place] = change
    this.#numbers.set(change, ++this.#count)
  }

  has(id: string, version: Version): boolean {
    return this.#numbers.has(changeName(id, version))
  }

  /** Undefined for one that is not among them. */
  numberOf(id: string, version: Version): number | undefined {
    return this.#numbers.get(changeName(id, version))
  }

  clear(): void {
    this.#numbers.clear()
    this.#ring.fill(undefined)
  }
}
