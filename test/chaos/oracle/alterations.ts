import { isAltered } from '../entry-value.js'
import type { WriteRecord } from './history.js'
import type { Spell } from './spell.js'

/** Times in which a user's trigger altered all values that were written: only then may a read show an altered value. */
export class Alterations {
  readonly #spells: Spell[] = []

  add(spell: Spell): void {
    this.#spells.push(spell)
  }

  /**
   * Returns the error in the form of a value that was not shown as stale; undefined if the table may have it in that
   * form.
   */
  faultIn({ outcome, ...written }: WriteRecord, text: string, shownMs: number): string | undefined {
    const lastMs = Math.min(written.effectByMs, outcome === 'ok' ? written.returnMs : shownMs)
    const covered = this.#spells.map((spell) =>
      spell.covers(written.invokeMs, Math.max(written.invokeMs, lastMs)),
    )
    if (isAltered(text)) return covered.every((one) => one === 'no') ? 'which nothing has altered' : undefined
    return covered.includes('yes') ? 'as it was sent, though a trigger has altered it' : undefined
  }
}
