import { changeName } from './change-name.js'
import type { Version } from './entry.js'

const capacity = 10_000

/** The changes applied last: what is in here has been seen, what is not may have been. */
export class RecentChanges {
  /** The number of each, counted from the start. */
  readonly #changes = new Map<string, number>()
  #count = 0

  /** How many there have been. */
  get count(): number {
    return this.#count
  }

  add(id: string, version: Version): void {
    const change = changeName(id, version)
    // Our own write comes back as a change: it was applied when it was acknowledged.
    const number = this.#changes.get(change) ?? ++this.#count
    this.#changes.delete(change)
    this.#changes.set(change, number)
    if (this.#changes.size > capacity) {
      for (const oldest of this.#changes.keys()) {
        this.#changes.delete(oldest)
        break
      }
    }
  }

  has(id: string, version: Version): boolean {
    return this.#changes.has(changeName(id, version))
  }

  /** Undefined for one that is not among them. */
  numberOf(id: string, version: Version): number | undefined {
    return this.#changes.get(changeName(id, version))
  }

  clear(): void {
    this.#changes.clear()
  }
}
