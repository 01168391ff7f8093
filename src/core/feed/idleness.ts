/**
 * Tracks when the cache was last used, and whether the feed rests because nobody has used the cache for some time:
 *
 *                 unused for `afterMs`            used
 *      in use ------------------------> resting --------> waking
 *        ^                                                 |  |
 *        +------- caught up, or the feed was lost ---------+  +---> resting, if it is unused again
 *
 * Reads, writes, deletes and the warm-up are use, and so is a stream of changes as long as it is open. Probes, scrapes and
 * changes are not.
 */
export class Idleness {
  /** Time without use after which the feed may rest; 0 to never rest. */
  readonly #afterMs: number
  #usedMs: number
  #wokenMs = Number.NEGATIVE_INFINITY
  #state: 'in-use' | 'resting' | 'waking' = 'in-use'
  #onUse: () => void = () => undefined
  /** Number of those who use the cache without requests. */
  #lastingUses = 0

  constructor(afterMs: number, nowMs: number) {
    this.#afterMs = afterMs
    this.#usedMs = nowMs
  }

  /** True from the moment that the feed rests until it has caught up again or was lost. */
  get isUnproven(): boolean {
    return this.#state !== 'in-use'
  }

  /** Returns the time for which the feed has been needed without a pause, in ms; `Infinity` if it has never rested. */
  neededForMs(nowMs: number): number {
    return nowMs - this.#wokenMs
  }

  /** Returns the time until the feed may rest if the cache is not used, in ms; `Infinity` if it never may. */
  dueInMs(nowMs: number): number {
    if (this.#afterMs === 0 || this.#lastingUses > 0) return Number.POSITIVE_INFINITY
    return Math.max(0, this.#usedMs + this.#afterMs - nowMs)
  }

  /** Records a use of the cache. It is on the hit path, so it has to be cheap. */
  used(nowMs: number): void {
    this.#usedMs = nowMs
    if (this.#state === 'resting') this.#wake(nowMs)
  }

  /** Records the begin of a use that lasts until `endLasting`. */
  beginLasting(nowMs: number): void {
    this.#lastingUses++
    this.used(nowMs)
  }

  endLasting(nowMs: number): void {
    this.#lastingUses--
    this.used(nowMs)
  }

  isDue(nowMs: number): boolean {
    return this.dueInMs(nowMs) === 0
  }

  /** Starts a rest. Resolves at the next use. */
  rest(): Promise<void> {
    this.#state = 'resting'
    return new Promise((resolve) => {
      this.#onUse = resolve
    })
  }

  /** Ends waking, because the feed has caught up or was lost. */
  settled(): void {
    if (this.#state === 'waking') this.#state = 'in-use'
  }

  #wake(nowMs: number): void {
    this.#state = 'waking'
    this.#wokenMs = nowMs
    this.#onUse()
  }
}
