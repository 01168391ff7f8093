import type { Contender, Figures, Missing, Row, Target } from './comparison.js'
import { type Spread, spreadOf } from './statistics.js'

export type Verdict = 'reached' | 'short' | 'for reference' | 'missing'

/** A row with what came of it. */
export interface Outcome extends Row {
  readonly ours?: Spread
  readonly theirs?: Spread
  /** Comparison of the pairs, one for each round: ours to theirs; for a target of `atMostMore`, ours minus theirs. */
  readonly compared?: Spread
  readonly verdict: Verdict
  /** Why it is missing. */
  readonly missing?: string
}

/** Rounds by contender: what each came to, round by round. */
export type Rounds = ReadonlyMap<string, readonly Figures[]>

export function outcomeOf(row: Row, rounds: Rounds, contenders: readonly (Contender | Missing)[]): Outcome {
  for (const name of [row.of, row.against]) {
    const contender = contenders.find((one) => one.name === name)
    if (name !== undefined && contender === undefined) throw new Error(`there is no contender "${name}"`)
    if (contender && 'missing' in contender) return { ...row, verdict: 'missing', missing: contender.missing }
  }
  const valuesOf = (name: string) => (rounds.get(name) ?? []).map((figures) => valueIn(figures, row, name))
  const ours = valuesOf(row.of)
  if (row.against === undefined) {
    const spread = spreadOf(ours)
    return { ...row, ours: spread, verdict: verdictOf(spread.median, row.target) }
  }
  const theirs = valuesOf(row.against)
  const pairs = ours.map((our, index) => {
    const their = theirs[index] as number
    return row.target && 'atMostMore' in row.target ? our - their : our / their
  })
  const compared = spreadOf(pairs)
  const isBound = row.limit !== undefined && isNear(ours, valuesOf(row.limit))
  const remark = [row.remark, isBound && 'lower bound: the load was the limit'].filter(Boolean).join('; ')
  return {
    ...row,
    ours: spreadOf(ours),
    theirs: spreadOf(theirs),
    compared,
    verdict: verdictOf(compared.median, row.target),
    ...(remark && { remark }),
  }
}

function isNear(ours: readonly number[], limit: readonly number[]): boolean {
  return spreadOf(ours).median > 0.9 * spreadOf(limit).median
}

/** Returns true if a target is missed, for `--check`. A peer that is not installed does not count. */
export function fallsShort(outcomes: readonly Outcome[]): boolean {
  return outcomes.some(({ verdict }) => verdict === 'short')
}

function verdictOf(value: number, target: Target | undefined): Verdict {
  if (target === undefined) return 'for reference'
  return reaches(value, target) ? 'reached' : 'short'
}

function reaches(value: number, target: Target): boolean {
  if ('atLeast' in target) return value >= target.atLeast
  return value <= ('atMost' in target ? target.atMost : target.atMostMore)
}

function valueIn(figures: Figures, { figure }: Row, name: string): number {
  const value = figures[figure]
  if (value === undefined || Number.isNaN(value)) throw new Error(`${name} has no figure "${figure}"`)
  return value
}
