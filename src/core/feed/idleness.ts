/**
 * When the cache was last used, and if the feed rests because nobody has used it for so long:
 *
 *                 unused for `afterMs`            used
 *      in use ------------------------> resting --------> waking
 *        ^                                                 |  |
 *        +------- caught up, or the feed was lost ---------+  +---> resting, if it is unused again
 *
 * Probes, scrapes and changes are not use; a read, a write, a delete and a warm-up are.
 */
export class Idleness {
  /** 0: never idle. */
  readonly #afterMs: number
  #usedMs: number
  #wokenMs = Number.NEGATIVE_INFINITY
  #state: 'in-use' | 'resting' | 'waking' = 'in-use'
  #onUse: () => void = () => undefined

  constructor(afterMs: number, nowMs: number) {
    this.#afterMs = afterMs
    this.#usedMs = nowMs
  }

  /** True from the moment that the feed rests until it has caught up again, or was lost. */
  get isUnproven(): boolean {
    return this.#state !== 'in-use'
  }

  /** How long the feed has been needed without a pause; `Infinity` if it has never rested. */
  neededForMs(nowMs: number): number {
    return nowMs - this.#wokenMs
  }

  /** On the hit path: it has to be cheap. */
  used(nowMs: number): void {
    this.#usedMs = nowMs
    if (this.#state === 'resting') this.#wake(nowMs)
  }

  isDue(nowMs: number): boolean {
    return this.#afterMs > 0 && nowMs - this.#usedMs >= this.#afterMs
  }

  /** Resolves at the next use. */
  rest(): Promise<void> {
    this.#state = 'resting'
    return new Promise((resolve) => {
      this.#onUse = resolve
    })
  }

  /** The feed has caught up, or was lost. */
  settled(): void {
    if (this.#state === 'waking') this.#state = 'in-use'
  }

  #wake(nowMs: number): void {
    this.#state = 'waking'
    this.#wokenMs = nowMs
    this.#onUse()
  }
}
