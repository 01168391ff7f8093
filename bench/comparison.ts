import type { Bench } from './bench.js'

/** Results of one round of a contender, by name: `{ rate: 48_000, p99Ms: 1.2 }`. */
export type Figures = Readonly<Record<string, number>>

export interface Round {
  readonly seconds: number
  /** Results of the earlier contenders in this round, by name. */
  readonly soFar: ReadonlyMap<string, Figures>
}

/** One of those that do the same work. */
export interface Contender {
  readonly name: string
  measure(round: Round): Promise<Figures>
}

/** A contender that cannot take part here. */
export interface Missing {
  readonly name: string
  readonly missing: string
}

/** Target for the ratio of ours to theirs or, with `more`, for the difference. */
export type Target =
  | { readonly atLeast: number }
  | { readonly atMost: number }
  | { readonly atMostMore: number }

/** One line of the table. */
export interface Row {
  readonly work: string
  readonly figure: string
  readonly unit: string
  readonly of: string
  /** Nothing for a figure that stands alone. */
  readonly against?: string
  /** Nothing where the other is there for reference only. */
  readonly target?: Target
  readonly remark?: string
  /** The contender that shows the limit of the load: a figure near to that is a lower bound. */
  readonly limit?: string
}

/** One file in comparisons/. */
export interface Comparison {
  readonly name: string
  readonly about: string
  readonly rows: readonly Row[]
  /** True if the comparison is slow and therefore measured once, without a warm-up round. */
  readonly once?: boolean
  /** Not among those that are measured when none is named. */
  readonly onlyWhenNamed?: boolean
  /** Starts what it needs, which ends with the bench. Contenders are measured in this order, round after round. */
  open(bench: Bench): Promise<readonly (Contender | Missing)[]>
}
