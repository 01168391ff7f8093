export interface TtlRule {
  readonly prefix: string
  /** Time to live in ms; `Infinity` for no local expiry. */
  readonly ttlMs: number
}

export interface TtlOptions {
  /** Time to live of keys that match no rule, in ms; `Infinity` for no local expiry. */
  readonly ttlMs: number
  /** TTLs by key prefix; the longest matching prefix wins. No rules by default. */
  readonly ttlRules?: readonly TtlRule[]
  /** Fraction of its time to live by which an entry may expire earlier, from 0 (the default) to 1. */
  readonly ttlJitter?: number
  /** `fixed` (the default): the time to live starts at the fill. `sliding`: it starts again with every hit. */
  readonly ttlMode?: 'fixed' | 'sliding'
}

/** Decides how long entries may be served from memory. */
export class TtlPolicy {
  readonly isSliding: boolean
  readonly #elseMs: number
  readonly #jitter: number
  readonly #random: () => number
  /**
   * Rules by prefix length, the longest first, so a lookup costs one map access per length, however many rules there
   * are.
   */
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

  /** Returns the maximum time to live of an entry of this key. */
  boundMs(key: string): number {
    for (const [length, rules] of this.#byLength) {
      const ttlMs = rules.get(key.slice(0, length))
      if (ttlMs !== undefined) return ttlMs
    }
    return this.#elseMs
  }

  /**
   * Returns the time to live for one entry of this key, shortened by a random jitter. A change drops the entry in every
   * sidecar at the same moment, and they all fill it again at the same moment. Without jitter, they would all fill it
   * again at the same moment one time to live later.
   */
  drawMs(key: string): number {
    return this.boundMs(key) * (1 - this.#jitter * this.#random())
  }

  /** Shortens the times to live that are longer than this policy allows from now on. */
  shorten(all: Iterable<{ readonly key: string; expiresAtMs: number }>, nowMs: number): void {
    for (const one of all)
      if (one.expiresAtMs > nowMs + this.boundMs(one.key)) one.expiresAtMs = nowMs + this.drawMs(one.key)
  }
}
