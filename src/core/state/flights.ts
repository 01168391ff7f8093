import type { Version } from '../entry.js'
import type { ReadResult } from '../reads/read-result.js'

/**
 * A running fill or write of a key, with the changes of the key since it began. They decide whether its result may be
 * put (P3).
 */
export interface Flight {
  readonly id: string
  readonly openedAtMs: number
  readonly generation: number
  /** True if the feed had caught up when the flight began, so that its result may be put. */
  readonly mayPut: boolean
  /** Versions of the changes of this key since the flight began; undefined for a change whose version is not known. */
  readonly changes: (Version | undefined)[]
}

export interface FeedNow {
  readonly generation: number
  /** Lowest generation in which a flight may have begun for its result to be put. */
  readonly coveredGeneration: number
  readonly mayPut: boolean
}

/** A fill in flight that other reads of its key may join. */
export interface SharedFill {
  readonly result: Promise<ReadResult>
  readonly startedAtMs: number
}

/** The fills and writes in flight, by key id. */
export class Flights {
  readonly #flights = new Map<string, Flight[]>()
  readonly #fills = new Map<string, SharedFill>()

  /** Starts a flight *before* its query is sent. Close it when its result has been handled. */
  open(id: string, feed: FeedNow, openedAtMs: number): Flight {
    const { generation, mayPut } = feed
    const flight: Flight = { id, openedAtMs, generation, mayPut, changes: [] }
    const flights = this.#flights.get(id)
    if (flights) flights.push(flight)
    else this.#flights.set(id, [flight])
    return flight
  }

  close(flight: Flight): void {
    const { id } = flight
    const flights = this.#flights.get(id)
    if (flights === undefined) return
    if (flights.length > 1)
      this.#flights.set(
        id,
        flights.filter((other) => other !== flight),
      )
    else if (flights[0] === flight) this.#flights.delete(id)
  }

  /** Registers the fill that reads of this key may join from now on. */
  share(id: string, fill: SharedFill): void {
    this.#fills.set(id, fill)
  }

  /** Ends the sharing of a fill, which has been answered. */
  unshare(id: string, result: SharedFill['result']): void {
    if (this.#fills.get(id)?.result === result) this.#fills.delete(id)
  }

  /**
   * Returns the fill in flight that a read arriving now may join: one that began at `sinceMs` or later, unless a change
   * of its key has been seen since (P4). Without the last condition:
   *
   *   1. Reader A starts a fill, which reads the old value.
   *   2. A write is acknowledged, and its change arrives.
   *   3. Reader B joins A's fill, and gets the old value.
   */
  joinable(id: string, sinceMs: number): SharedFill['result'] | undefined {
    const fill = this.#fills.get(id)
    return fill && fill.startedAtMs >= sinceMs ? fill.result : undefined
  }

  /**
   * Records a change of this key that arrived, or a write of this sidecar that was acknowledged or whose outcome is
   * unknown (P2).
   */
  changed(id: string, version: Version | undefined): void {
    this.#fills.delete(id)
    const flights = this.#flights.get(id)
    if (flights) for (const flight of flights) flight.changes.push(version)
  }

  /**
   * Prevents reads from joining any fill in flight, because changes may have been missed. Flights are invalid by their
   * generation.
   */
  doubted(): void {
    this.#fills.clear()
  }

  /**
   * Records that another flight has put this version. Any other flight of the key may have been sent earlier, and may
   * be answered with an older version:
   *
   *   1. Fill A begins and reads 7; its answer is slow.
   *   2. Another client writes 8; its change is slow.
   *   3. A read with the token of 8 begins, reads 8, and puts it.
   *   4. A's answer arrives: 7 would be put over 8.
   *
   * `undefined` stands for an absence that the other flight has put.
   */
  told(flight: Flight, version: Version | undefined): void {
    for (const other of this.#flights.get(flight.id) ?? []) if (other !== flight) other.changes.push(version)
  }

  /** Returns true if the feed had caught up when the flight began, still listens, and has missed nothing in between. */
  unbroken(flight: Flight, feed: FeedNow): boolean {
    return flight.mayPut && feed.mayPut && flight.generation >= feed.coveredGeneration
  }

  /**
   * Returns true if the flight may put this version into memory: every change seen meanwhile is the version being put,
   * and none may have been missed (P3). Otherwise:
   *
   *   1. A fill begins and reads version 7.
   *   2. Another client writes version 8.
   *   3. The change to 8 arrives: there is no entry to drop yet.
   *   4. The fill puts 7, which is served until its time to live ends.
   */
  mayPut(flight: Flight, version: Version, feed: FeedNow): boolean {
    return this.unbroken(flight, feed) && flight.changes.every((change) => change === version)
  }

  /**
   * Returns true if the flight may put that the key does not exist: all changes seen meanwhile are deletes (P14).
   * Otherwise:
   *
   *   1. A fill begins, and finds no row.
   *   2. Another client inserts the row, with version 8.
   *   3. The change to 8 arrives: there is no absence to drop yet.
   *   4. The fill puts the absence, and the row is not found until the time to live ends.
   */
  mayPutAbsence(flight: Flight, feed: FeedNow): boolean {
    return this.unbroken(flight, feed) && flight.changes.every(isDelete)
  }
}

/** Returns true for the version that a deleted row has left (P1). */
export function isDelete(version: Version | undefined): boolean {
  return version?.startsWith('-') === true
}
