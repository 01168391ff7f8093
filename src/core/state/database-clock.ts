/** Tolerance for corrections of the database's clock, which are not treated as a jump. */
const toleranceMs = 1_000

/** A jump of the database's clock, or the opposite one of the sidecar's. */
export type ClockJump = 'forward' | 'back'

/** Compares the database's wall clock with the sidecar's monotonic one. */
export class DatabaseClock {
  /**
   * Bounds of the database's clock minus the sidecar's, in ms: the narrowest ones since the last jump. So small
   * corrections that add up count as a jump, too.
   */
  #leastMs = Number.NEGATIVE_INFINITY
  #mostMs = Number.POSITIVE_INFINITY

  /**
   * Records that the database's clock was at `databaseMs` at some moment from `sinceMs` to `nowMs`. Returns the
   * direction if one of the clocks was set, or the sidecar's clock stood still.
   */
  seen(databaseMs: number, sinceMs: number, nowMs: number): ClockJump | undefined {
    const [leastMs, mostMs] = [databaseMs - nowMs, databaseMs - sinceMs]
    const isForward = leastMs - this.#mostMs > toleranceMs
    const isBack = this.#leastMs - mostMs > toleranceMs
    const hasJumped = isForward || isBack
    this.#leastMs = hasJumped ? leastMs : Math.max(this.#leastMs, leastMs)
    this.#mostMs = hasJumped ? mostMs : Math.min(this.#mostMs, mostMs)
    if (!hasJumped) return undefined
    return isForward ? 'forward' : 'back'
  }
}
