/** Keys that are only written together, in one transaction, with the same value. */
export const pairKeys = ['pair:a', 'pair:b'] as const

/**
 * Compares entries that are only written together, as strong reads of several keys see them. Such a read is from one
 * snapshot, so it never sees one of two writes of a transaction.
 */
export class Pairs {
  /** Number of reads that saw both entries. */
  compared = 0
  readonly #onViolation: (text: string) => void

  constructor(onViolation: (text: string) => void) {
    this.#onViolation = onViolation
  }

  /** `values` are those of the entries that were found, by key. */
  seen(values: Readonly<Record<string, unknown>>): void {
    const [one, other] = pairKeys.map((key) => values[key])
    // A trigger of the table may have altered a value. Nobody but it writes anything else than a number.
    if ([one, other].some((value) => value !== undefined && typeof value !== 'number')) return
    if (one !== other) this.#onViolation(`one transaction was half seen: ${JSON.stringify(values)}`)
    else if (one !== undefined) this.compared++
  }
}
