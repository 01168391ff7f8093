import type { Version } from '../entry.js'

/** A change of one key, as the feed brought it. */
export interface LoggedChange {
  /** Number of this change. Each is one higher than that of the one before. */
  readonly number: number
  /** Id of the key (`keyId`). */
  readonly id: string
  readonly version: Version
}

/** Number of changes that are remembered. They take at most 5 MB, because no id is longer than 512 bytes. */
const rememberedChanges = 8_192

/**
 * The last changes that were applied here, for those who follow them from outside (P19).
 *
 * A gap is a moment at which changes may have been missed or could not be named. It ends a generation. Nothing that was
 * read in an earlier generation may be relied on.
 */
export class ChangeLog {
  readonly #capacity: number
  /** The change with number n is at place n modulo the capacity. */
  readonly #changes: LoggedChange[] = []
  #generation = 0
  #last = 0
  /** Number of the last change before the oldest one that is remembered. */
  #forgotten = 0
  /** Called after each change and each gap. */
  onAdvance: () => void = () => undefined

  constructor(capacity = rememberedChanges) {
    this.#capacity = capacity
  }

  /** Number of gaps so far. */
  get generation(): number {
    return this.#generation
  }

  /** Number of the last change or gap. */
  get last(): number {
    return this.#last
  }

  changed(id: string, version: Version): void {
    const number = ++this.#last
    this.#changes[number % this.#capacity] = { number, id, version }
    if (number - this.#forgotten > this.#capacity) this.#forgotten++
    this.onAdvance()
  }

  gap(): void {
    this.#generation++
    this.#forgotten = ++this.#last
    this.onAdvance()
  }

  /** Returns true if all changes after the one with this number are remembered, and there was no gap since. */
  has(number: number): boolean {
    return number >= this.#forgotten && number <= this.#last
  }

  /**
   * Returns the changes after the one with this number, in their order, or the first of them; undefined if there was a
   * gap since then, or if they are not remembered.
   */
  since(number: number, atMost = Number.POSITIVE_INFINITY): readonly LoggedChange[] | undefined {
    if (!this.has(number)) return undefined
    return Array.from(
      { length: Math.min(this.#last - number, atMost) },
      (_, index) => this.#changes[(number + 1 + index) % this.#capacity] as LoggedChange,
    )
  }
}
