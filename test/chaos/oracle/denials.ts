import type { Spell } from './spell.js'

/**
 * Kinds of final refusals by the database. `forbidden`: 403, the role lacks a right; `refused`: 422, it does not take
 * the row.
 */
export type Denial = 'forbidden' | 'refused'

export interface Denied {
  readonly key: string
  /** The sidecar that was asked, with its incarnation. */
  readonly via: string
  readonly invokeMs: number
  readonly returnMs: number
}

/** Maximum time that a statement takes. A read may join a statement that was sent up to so long before. */
const joinedMs = 5_000

const words: Readonly<Record<Denial, string>> = {
  forbidden: 'was told that a right is missing, while none was',
  refused: 'was told that the database refuses the row, while nothing refused it',
}

/**
 * The times in which the database had a reason to say no for good, and to whom. Nobody else is told so: no neighbour in
 * a batch.
 */
export class Denials {
  readonly #reasons: {
    readonly denial: Denial
    readonly spell: Spell
    readonly concerns: (denied: Pick<Denied, 'key' | 'via'>) => boolean
  }[] = []

  /** Adds a time in which the database refuses the requests concerned. */
  add(denial: Denial, spell: Spell, concerns: (denied: Pick<Denied, 'key' | 'via'>) => boolean): void {
    this.#reasons.push({ denial, spell, concerns })
  }

  /** Returns what is wrong with an answer that says no for good, or undefined if there was a reason. */
  faultIn(denial: Denial, denied: Denied): string | undefined {
    const hasReason = this.#reasons.some(
      (reason) =>
        reason.denial === denial &&
        reason.concerns(denied) &&
        reason.spell.covers(denied.invokeMs - joinedMs, denied.returnMs) !== 'no',
    )
    return hasReason ? undefined : words[denial]
  }
}
