import type { Clock } from '../../../../src/core/ports.js'

export interface HitClockParts {
  readonly clock: Pick<Clock, 'now'>
  /** Returns the wall clock in whole ms since 1970. */
  readonly wallMs: () => number
}

/**
 * The time of hits: never earlier than the time of the clock, and at most a millisecond later. The clock of a near cache
 * reads two clocks of the machine, which takes longer than everything else that a hit does. As long as the wall clock
 * shows the same millisecond, this one reads nothing else.
 *
 * The wall clock alone would not do, because it can be set back. Here that shows at once, or with the next millisecond if
 * it was set back by exactly the time that had passed. It does not stand still while the monotonic clock runs, because
 * kernels derive both from one counter.
 */
export class HitClock {
  readonly #parts: HitClockParts
  /** Millisecond of the wall clock in which the clock was last read, and the end of this millisecond by the clock. */
  #wallMs = Number.NaN
  #latestMs = 0

  constructor(parts: HitClockParts) {
    this.#parts = parts
  }

  now(): number {
    const { clock, wallMs } = this.#parts
    const nowMs = wallMs()
    if (nowMs !== this.#wallMs) {
      // After the wall clock, so that a pause between the two readings counts.
      this.#latestMs = clock.now() + 1
      this.#wallMs = nowMs
    }
    return this.#latestMs
  }
}
