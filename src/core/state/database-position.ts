import type { Base, Epoch, Mark, Version } from '../entry.js'
import type { Position } from '../ports.js'

/** Relation of a position to the one before it. Only `onward` leaves the entries as they are. */
export type Progress = 'onward' | 'first' | 'another-history' | 'rewound'

/**
 * Position of the database when it last answered. Notifications do not count here, because any role of the database can
 * send one.
 */
export class DatabasePosition {
  #epoch: Epoch | undefined
  #latest = -1n
  #mark: { readonly mark: Mark; readonly latest: bigint } | undefined

  /** Epoch of the database; undefined until the first contact. */
  get epoch(): Epoch | undefined {
    return this.#epoch
  }

  /** The highest version in any answer of the database. */
  get latest(): bigint {
    return this.#latest
  }

  /** The mark that pending writes refer to (P9). */
  get mark(): Mark | undefined {
    return this.#mark?.mark
  }

  /** Base of a pending write of a key that is not held. */
  get unseen(): Base {
    return { kind: 'unseen', mark: this.mark }
  }

  /** True if something has been written since the mark. */
  get isPastMark(): boolean {
    return this.#mark === undefined || this.#latest > this.#mark.latest
  }

  /** Records a version that the database has answered with. */
  version(version: Version): void {
    const number = BigInt(version)
    if (number > this.#latest) this.#latest = number
  }

  /**
   * Compares a new position with the last one, and records it. `floor` is `latest` as it was when the position was
   * asked for. A position below that has been rewound. Comparing with `latest` at the time of the answer would be
   * wrong:
   *
   *   1. The position is asked for, and is 7.
   *   2. A write of this sidecar gets version 8.
   *   3. The answer to the write arrives: 8.
   *   4. The answer to step 1 arrives: 7, which is correct. Compared with `latest` at this point, which is 8, it would
   *      look as if the database had gone back.
   */
  observe({ epoch, latest }: Position, floor: bigint): Progress {
    const before = this.#epoch
    if (this.isOnward({ epoch, latest }, floor)) {
      if (latest > this.#latest) this.#latest = latest
      return 'onward'
    }
    this.#epoch = epoch
    this.#latest = latest
    this.#mark = undefined
    if (before === undefined) return 'first'
    return epoch === before ? 'rewound' : 'another-history'
  }

  /** Returns true if the position continues the same history: `observe` would at most raise `latest`. */
  isOnward({ epoch, latest }: Position, floor: bigint): boolean {
    return epoch === this.#epoch && latest >= floor
  }

  /** Records a mark that the database has, and the highest version that was produced before it. */
  marked(mark: Mark, latest: bigint): void {
    this.#mark = { mark, latest }
  }

  /** Forgets the mark, which the database no longer has, even if the position has caught up since. */
  rewound(): void {
    this.#mark = undefined
  }
}
