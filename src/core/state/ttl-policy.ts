export interface TtlRule {
  readonly prefix: string
  /** `Infinity` for no local expiry. */
  readonly ttlMs: number
}

export interface TtlOptions {
  /** For keys that no rule names; `Infinity` for no local expiry. */
  readonly ttlMs: number
  /** The longest prefix that fits a key decides. None unless given. */
  readonly ttlRules?: readonly TtlRule[]
  /** The part of its time to live by which an entry may expire sooner, from 0, the default, to 1. */
  readonly ttlJitter?: number
  /** `fixed`, the default: counted from the fill. `sliding`: every hit begins it anew. */
  readonly ttlMode?: 'fixed' | 'sliding'
}

/** How long an entry may be served from memory. */
export class TtlPolicy {
  readonly isSliding: boolean
  readonly #elseMs: number
  readonly #jitter: number
  readonly #random: () => number
  /** Longest first: as many look-ups as there are lengths, however many rules. */
  readonly #byLength: readonly (readonly [length: number, rules: ReadonlyMap<string, number>])[]

  constructor(
    { ttlMs, ttlRules = [], ttlJitter = 0, ttlMode = 'fixed' }: TtlOptions,
    random: () => number = Math.random,
  ) {
    this.isSliding = ttlMode === 'sliding'
    this.#elseMs = ttlMs
    this.#jitter = ttlJitter
    this.#random = random
    const byLength = new Map<number, Map<string, number>>()
    for (const rule of ttlRules) {
      const { length } = rule.prefix
      const rules = byLength.get(length) ?? new Map<string, number>()
      byLength.set(length, rules.set(rule.prefix, rule.ttlMs))
    }
    this.#byLength = [...byLength].sort(([a], [b]) => b - a)
  }

  /** The most that an entry of this key gets. */
  boundMs(key: string): number {
    for (const [length, rules] of this.#byLength) {
      const ttlMs = rules.get(key.slice(0, length))
      if (ttlMs !== undefined) return ttlMs
    }
    return this.#elseMs
  }

  /**
   * What one entry of it gets: less than the bound by chance. A change drops the entry in every sidecar at one moment, and they
   * fill it again at one moment; without chance they would all ask for it once more a time to live later.
   */
  drawMs(key: string): number {
    return this.boundMs(key) * (1 - this.#jitter * this.#random())
  }
}
