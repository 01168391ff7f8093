interface Spells {
  underWay: number
  endedMs: number
}

/** Measures for how long a target has been free of faults. */
export class Calm<Target extends object> {
  readonly #spells = new WeakMap<Target, Spells>()

  /** A fault begins. */
  disturb(target: Target): void {
    this.#of(target).underWay++
  }

  /** One has ended. */
  leave(target: Target, nowMs: number): void {
    const spells = this.#of(target)
    spells.underWay--
    spells.endedMs = nowMs
  }

  /** 0 while a fault is under way, Infinity before the first. `own`: so many faults under way do not count. */
  ms(target: Target, nowMs: number, own = 0): number {
    const { underWay, endedMs } = this.#of(target)
    return underWay > own ? 0 : nowMs - endedMs
  }

  #of(target: Target): Spells {
    let spells = this.#spells.get(target)
    if (spells === undefined) {
      spells = { underWay: 0, endedMs: Number.NEGATIVE_INFINITY }
      this.#spells.set(target, spells)
    }
    return spells
  }
}
