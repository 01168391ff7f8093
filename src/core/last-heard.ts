import type { Base, Epoch, Version } from './entry.js'
import type { Position } from './ports.js'

/**
 * Where the database stood when it last answered: the base of a write that has to be kept (P9). Versions that a change
 * names do not count, because any role of the database can send a notification; they only say that asking again is
 * worthwhile.
 */
export class LastHeard {
  #epoch: Epoch | undefined
  #latest = -1n
  #isBehind = false

  /** Undefined until the first contact. */
  get epoch(): Epoch | undefined {
    return this.#epoch
  }

  /** For a key of which no entry is held: a row that changes after this answer gets a higher version. */
  get unseen(): Base {
    return { kind: 'unseen', latest: this.#epoch === undefined ? -1n : this.#latest }
  }

  /** True if a change named a version above the highest that the database has told since it was last asked. */
  get isBehind(): boolean {
    return this.#isBehind
  }

  /** The database has answered with this version. */
  version(version: Version): void {
    const number = BigInt(version)
    if (number > this.#latest) this.#latest = number
  }

  /** A change has named this version. */
  hint(version: Version): void {
    this.#isBehind ||= BigInt(version) > this.#latest
  }

  /** True if the database has handed out this version, or that of the row which is gone, by its own word. */
  hasHandedOut(version: Version): boolean {
    return BigInt(version.replace('-', '')) <= this.#latest
  }

  /** The database is being asked for its position. */
  asked(): void {
    this.#isBehind = false
  }

  /** Whether it is another history than before: then nothing held from the earlier one means anything. */
  position({ epoch, latest }: Position): boolean {
    const sameHistory = epoch === this.#epoch
    this.#epoch = epoch
    if (!sameHistory || latest > this.#latest) this.#latest = latest
    return !sameHistory
  }
}
