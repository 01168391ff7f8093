import type { Base, Epoch, Version } from './entry.js'
import type { Position } from './ports.js'

/** What this sidecar last heard from the database: the base of a write that has to be kept (P9). */
export class LastHeard {
  #epoch: Epoch | undefined
  #latest = -1n

  /** Undefined until the first contact. */
  get epoch(): Epoch | undefined {
    return this.#epoch
  }

  /** For a key of which no entry is held: what changes without our hearing of it gets a higher version. */
  get unseen(): Base {
    return { kind: 'unseen', latest: this.#epoch === undefined ? -1n : this.#latest }
  }

  version(version: Version): void {
    const number = BigInt(version)
    if (number > this.#latest) this.#latest = number
  }

  /** Whether it is another history than before: then nothing held from the earlier one means anything. */
  position({ epoch, latest }: Position): boolean {
    const sameHistory = epoch === this.#epoch
    this.#epoch = epoch
    if (!sameHistory || latest > this.#latest) this.#latest = latest
    return !sameHistory
  }
}
