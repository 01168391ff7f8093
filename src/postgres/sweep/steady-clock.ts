interface Reading {
  /** Lower bound of the database's clock minus the sidecar's, in ms. */
  readonly aheadMs: number
  /** Time of the reading by the sidecar's clock. */
  readonly atMs: number
}

/**
 * The database's clock as several readings confirm it, so that a jump forward does not count at once. A row counts as
 * expired only if it is expired by every reading, and the readings span at least `spanMs`. If the clock has stayed
 * ahead for that long, every other sidecar has noticed the jump, or has lost its lease (P12).
 */
export class SteadyClock {
  readonly #spanMs: number
  /** Readings, oldest first. The first is at least `spanMs` old, if there is such a one. */
  #readings: readonly Reading[] = []

  constructor(spanMs: number) {
    this.#spanMs = spanMs
  }

  /** Records that the database's clock was at `databaseMs` at some moment up to `nowMs`. */
  read(databaseMs: number, nowMs: number): void {
    const readings = [...this.#readings, { aheadMs: databaseMs - nowMs, atMs: nowMs }]
    const isOld = ({ atMs }: Reading) => atMs <= nowMs - this.#spanMs
    this.#readings = readings.slice(Math.max(0, readings.findLastIndex(isOld)))
  }

  /** Returns the time in ms since 1970; `-Infinity` if the readings do not span enough time. */
  nowMs(nowMs: number): number {
    const [oldest] = this.#readings
    if (oldest === undefined || oldest.atMs > nowMs - this.#spanMs) return Number.NEGATIVE_INFINITY
    return nowMs + Math.min(...this.#readings.map(({ aheadMs }) => aheadMs))
  }
}
