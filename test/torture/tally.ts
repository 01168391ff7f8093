/** Number of responses to one load, by kind. */
export interface LoadCounts {
  /** Responses by status. */
  readonly statuses: ReadonlyMap<number, number>
  /** Requests whose connection ended before their response. */
  readonly unanswered: number
}

/** Counts the results of the requests of each load. */
export class Tally {
  readonly #loads = new Map<string, { statuses: Map<number, number>; unanswered: number }>()

  answered(load: string, status: number): void {
    const { statuses } = this.#of(load)
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }

  unanswered(load: string): void {
    this.#of(load).unanswered++
  }

  get loads(): ReadonlyMap<string, LoadCounts> {
    return this.#loads
  }

  #of(load: string): { statuses: Map<number, number>; unanswered: number } {
    let counts = this.#loads.get(load)
    if (counts === undefined) {
      counts = { statuses: new Map(), unanswered: 0 }
      this.#loads.set(load, counts)
    }
    return counts
  }
}
