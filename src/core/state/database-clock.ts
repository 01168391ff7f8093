/** Tolerance for corrections of the database's clock, which are not treated as a jump. */
const toleranceMs = 1_000

/** Compares the database's wall clock with the sidecar's monotonic one. */
export class DatabaseClock {
  /** Upper bound of the database's clock minus the sidecar's, in ms. */
  #aheadMs: number | undefined

  /**
   * Records that the database's clock was at `databaseMs` at some moment from `sinceMs` to `nowMs`. Returns true if
   * that clock was set forward, or the sidecar's clock stood still.
   */
  hasJumped(databaseMs: number, sinceMs: number, nowMs: number): boolean {
    const before = this.#aheadMs
    this.#aheadMs = databaseMs - sinceMs
    return before !== undefined && databaseMs - nowMs - before > toleranceMs
  }
}
