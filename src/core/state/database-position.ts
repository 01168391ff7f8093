import type { Base, Epoch, Mark, Version } from '../entry.js'
import type { Position } from '../ports.js'

/** What a position means beside the one before it. Only `onward` leaves what is held as it is. */
export type Progress = 'onward' | 'first' | 'another-history' | 'rewound'

/**
 * Where the database stood when it last answered. What a notification says does not count here: any role of the database
 * can send one.
 */
export class DatabasePosition {
  #epoch: Epoch | undefined
  #latest = -1n
  #mark: { readonly mark: Mark; readonly latest: bigint } | undefined

  /** Undefined until the first contact. */
  get epoch(): Epoch | undefined {
    return this.#epoch
  }

  /** The highest version that the database has told of. */
  get latest(): bigint {
    return this.#latest
  }

  /** The mark that a write which has to be kept refers to (P9). */
  get mark(): Mark | undefined {
    return this.#mark?.mark
  }

  /** For a key of which no entry is held. */
  get unseen(): Base {
    return { kind: 'unseen', mark: this.mark }
  }

  /** True if something has been written since the mark. */
  get isPastMark(): boolean {
    return this.#mark === undefined || this.#latest > this.#mark.latest
  }

  /** The database has answered with this version. */
  version(version: Version): void {
    const number = BigInt(version)
    if (number > this.#latest) this.#latest = number
  }

  /**
   * `floor` is `latest` as it was when the position was asked for. A lower position than that has been rewound:
   *   1. the position is asked for, and is 7     3. the answer to the write arrives: 8
   *   2. a write of ours gets version 8          4. the answer to 1. arrives: 7, which is in order
   * Compared with what is known at 4., it would look as if the database had gone back.
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

  /** True if `observe` would change nothing but to go on. */
  isOnward({ epoch, latest }: Position, floor: bigint): boolean {
    return epoch === this.#epoch && latest >= floor
  }

  /** A mark that the database has, and the highest version that it had handed out before. */
  marked(mark: Mark, latest: bigint): void {
    this.#mark = { mark, latest }
  }

  /** The mark is gone, though the position may have caught up since. */
  rewound(): void {
    this.#mark = undefined
  }
}
