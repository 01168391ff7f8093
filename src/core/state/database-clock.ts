/** Tolerance for corrections of the database's clock, which are not treated as a jump. */
const toleranceMs = 1_000

/** A jump of the database's clock, or the opposite one of the sidecar's. */
export type ClockJump = 'forward' | 'back'

/** Compares the database's wall clock with the sidecar's monotonic one. */
export class DatabaseClock {
  /** Bounds of the database's clock minus the sidecar's, in ms. */
  #ahead: { readonly leastMs: number; readonly mostMs: number } | undefined

  /**
   * Records that the database's clock was at `databaseMs` at some moment from `sinceMs` to `nowMs`. Returns the
   * direction if one of the clocks was set, or the sidecar's clock stood still.
   */
  seen(databaseMs: number, sinceMs: number, nowMs: number): ClockJump | undefined {
    const before = this.#ahead
    const ahead = { leastMs: databaseMs - nowMs, mostMs: databaseMs - sinceMs }
    this.#ahead = ahead
    if (before === undefined) return undefined
    if (ahead.leastMs - before.mostMs > toleranceMs) return 'forward'
    return before.leastMs - ahead.mostMs > toleranceMs ? 'back' : undefined
  }
}
