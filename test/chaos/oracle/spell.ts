/** A time in which the table behaves differently, as far as an outside observer can know its beginning and end. */
export class Spell {
  readonly #fromMs: number
  #inForceMs = Number.POSITIVE_INFINITY
  #endingMs = Number.POSITIVE_INFINITY
  #goneMs = Number.POSITIVE_INFINITY

  /** It may be in force from now on. */
  constructor(nowMs: number) {
    this.#fromMs = nowMs
  }

  /** It certainly is. */
  inForce(nowMs: number): void {
    this.#inForceMs = nowMs
  }

  /** It may be over from now on. */
  ending(nowMs: number): void {
    this.#endingMs = nowMs
  }

  /** It certainly is. */
  gone(nowMs: number): void {
    this.#goneMs = nowMs
  }

  /** Says whether what took effect at one moment between these fell into the spell: `maybe` if that is not certain. */
  covers(fromMs: number, toMs: number): 'yes' | 'no' | 'maybe' {
    if (fromMs >= this.#inForceMs && toMs <= this.#endingMs) return 'yes'
    return toMs < this.#fromMs || fromMs > this.#goneMs ? 'no' : 'maybe'
  }
}
