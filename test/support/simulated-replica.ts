import type { Epoch } from '../../src/core/entry.js'
import type { LogPosition, ReplicaAnswer, Wanted } from '../../src/core/ports.js'
import type { SimulatedDatabase } from './simulated-database.js'

/** A standby of the database: it replays commits when the test says so. */
export class SimulatedReplica {
  readonly #database: SimulatedDatabase
  #epoch: Epoch
  #replayed = 0
  #rows: ReturnType<SimulatedDatabase['rowsAfter']> = new Map()

  constructor(database: SimulatedDatabase) {
    this.#database = database
    this.#epoch = database.epoch
  }

  /** Some more commits; where the primary has another history by now, it is made anew from that first. */
  replay(commits: number): void {
    const { epoch, commits: all } = this.#database
    if (epoch !== this.#epoch) this.#replayed = Math.min(this.#replayed, all)
    this.#epoch = epoch
    this.#replayed = Math.min(this.#replayed + commits, all)
    this.#rows = this.#database.rowsAfter(this.#replayed)
  }

  has({ epoch, bytes }: LogPosition): boolean {
    return epoch === this.#epoch && this.#replayed >= Number(bytes)
  }

  read(wanted: readonly Wanted[]): Map<string, ReplicaAnswer> {
    const found = this.#database.read(wanted, this.#rows, this.#epoch)
    // Rows that expire are left to the primary.
    const expires = ({ key }: Wanted) => Number.isFinite(this.#rows.get(key)?.expiresAtMs)
    return new Map(wanted.filter((one) => !expires(one)).map(({ key }) => [key, { entry: found.get(key) }]))
  }
}
