/** The promises that are checked, as they are named in the table. */
export const promises = [
  'bounded staleness',
  'strong reads linearizable',
  'sessions read their writes',
  'nothing lost',
  'convergence',
  'answers',
  'recovery',
] as const

export type Promised = (typeof promises)[number]

export interface Violation {
  readonly promise: Promised
  /** One line: who saw what, and why that cannot be. */
  readonly text: string
  /** The operations around it, one line each. */
  readonly around: readonly string[]
}

const shown = 5

/** Collects violations. All are counted, and the first few of each kind are kept to be shown. */
export class Violations {
  readonly #counts = new Map<Promised, number>(promises.map((promise) => [promise, 0]))
  readonly #kept: Violation[] = []
  readonly #onKept: (violation: Violation) => void

  /** `onKept` is called with each of the first few. */
  constructor(onKept: (violation: Violation) => void = () => undefined) {
    this.#onKept = onKept
  }

  add(violation: Violation): void {
    const count = this.count(violation.promise)
    this.#counts.set(violation.promise, count + 1)
    if (count >= shown) return
    this.#kept.push(violation)
    this.#onKept(violation)
  }

  count(promise: Promised): number {
    return this.#counts.get(promise) ?? 0
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0)
  }

  get kept(): readonly Violation[] {
    return this.#kept
  }
}
