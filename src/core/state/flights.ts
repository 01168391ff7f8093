import type { Version } from '../entry.js'
import type { ReadResult } from '../reads/read-result.js'

/** One running fill or write of a key, and what has changed since it began: decides whether it may put (P3). */
export interface Flight {
  readonly id: string
  readonly openedAtMs: number
  readonly generation: number
  /** Might what was read then be put, as far as the feed is concerned? */
  readonly mayPut: boolean
  /** Changes of this key since it began. `undefined` stands for one whose version is not known. */
  readonly changes: (Version | undefined)[]
}

export interface FeedNow {
  readonly generation: number
  /** The least that a flight must have begun in to put. */
  readonly coveredGeneration: number
  readonly mayPut: boolean
}

interface Fill {
  readonly result: Promise<ReadResult>
  readonly startedAtMs: number
}

/** The reads and writes in flight, by key id. */
export class Flights {
  readonly #tokens = new Map<string, Flight[]>()
  readonly #fills = new Map<string, Fill>()

  /** To be taken *before* the query is sent, and closed when its result has been dealt with. */
  open(id: string, feed: FeedNow, openedAtMs: number): Flight {
    const { generation, mayPut } = feed
    const token: Flight = { id, openedAtMs, generation, mayPut, changes: [] }
    const tokens = this.#tokens.get(id)
    if (tokens) tokens.push(token)
    else this.#tokens.set(id, [token])
    return token
  }

  close(token: Flight): void {
    const { id } = token
    const tokens = this.#tokens.get(id)
    if (tokens === undefined) return
    if (tokens.length > 1)
      this.#tokens.set(
        id,
        tokens.filter((other) => other !== token),
      )
    else if (tokens[0] === token) this.#tokens.delete(id)
  }

  /** The fill that reads of this key may join from now on. */
  started(id: string, fill: Fill): void {
    this.#fills.set(id, fill)
  }

  ended(id: string, result: Fill['result']): void {
    if (this.#fills.get(id)?.result === result) this.#fills.delete(id)
  }

  /**
   * The fill in flight that a read arriving now may join: one that began at `sinceMs` or later, unless a
   * change of its key has been seen since it began (P4). Without the latter:
   *   1. reader A: fill begins, reads the old value     3. reader B asks, joins A's fill,
   *   2. a write is acknowledged, its change arrives       and is told the old value
   */
  joinable(id: string, sinceMs: number): Fill['result'] | undefined {
    const fill = this.#fills.get(id)
    return fill && fill.startedAtMs >= sinceMs ? fill.result : undefined
  }

  /** A change of this key arrived, or a write of ours was acknowledged or ended unknown (P2). */
  changed(id: string, version: Version | undefined): void {
    this.#fills.delete(id)
    const tokens = this.#tokens.get(id)
    if (tokens) for (const token of tokens) token.changes.push(version)
  }

  /** Changes may have been missed: nothing in flight is worth joining. Tokens tell by their generation. */
  doubted(): void {
    this.#fills.clear()
  }

  /**
   * The store has told somebody this version, and it is held now. Another flight of the key may have been sent before, and
   * answered with an older one:
   *   1. fill A begins, reads 7; its answer is slow     3. a read with the token of 8 begins, reads 8, puts
   *   2. another client writes 8; its change is slow    4. A's answer arrives: 7 would be put over 8
   */
  told(token: Flight, version: Version): void {
    for (const other of this.#tokens.get(token.id) ?? []) if (other !== token) other.changes.push(version)
  }

  /** Had the feed caught up when the flight began, does it still listen, and has nothing been missed in between? */
  unbroken(token: Flight, feed: FeedNow): boolean {
    return token.mayPut && feed.mayPut && token.generation >= feed.coveredGeneration
  }

  /**
   * May the flight put this version into memory? Only if every change seen meanwhile is the very one being
   * put, and none may have been missed (P3).
   *   1. fill begins, reads version 7        3. the change to 8 arrives: nothing to drop yet
   *   2. another client writes version 8     4. the fill puts 7, to be served until its time to live ends
   */
  mayPut(token: Flight, version: Version, feed: FeedNow): boolean {
    return this.unbroken(token, feed) && token.changes.every((change) => change === version)
  }
}
