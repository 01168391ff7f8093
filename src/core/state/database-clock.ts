/** Tolerance for corrections of the database's clock, which are not treated as a jump. */
const toleranceMs = 1_000

/** Compares the database's wall clock with the sidecar's monotonic one. */
export class DatabaseClock {
  /**
   * Upper bound of the database's clock minus the sidecar's, in ms: the lowest one since the last jump. So small
   * corrections that add up count as a jump, too.
   */
  #aheadMs = Number.POSITIVE_INFINITY

  /**
   * Records that the database's clock was at `databaseMs` at some moment from `sinceMs` to `nowMs`. Returns true if
   * that clock was set forward, or the sidecar's clock stood still.
   */
  hasJumped(databaseMs: number, sinceMs: number, nowMs: number): boolean {
    const hasJumped = databaseMs - nowMs - this.#aheadMs > toleranceMs
    const aheadMs = databaseMs - sinceMs
    this.#aheadMs = hasJumped ? aheadMs : Math.min(this.#aheadMs, aheadMs)
    return hasJumped
  }
}
