import { changeName } from './change-name.js'
import type { Version } from './entry.js'

const capacity = 10_000

/** The changes applied last: what is in here has been seen, what is not may have been. */
export class RecentChanges {
  readonly #changes = new Set<string>()

  add(id: string, version: Version): void {
    const change = changeName(id, version)
    this.#changes.delete(change)
    this.#changes.add(change)
    if (this.#changes.size > capacity) {
      for (const oldest of this.#changes) {
        this.#changes.delete(oldest)
        break
      }
    }
  }

  has(id: string, version: Version): boolean {
    return this.#changes.has(changeName(id, version))
  }

  clear(): void {
    this.#changes.clear()
  }
}
