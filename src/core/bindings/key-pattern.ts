/** A text of a pattern, then the name of a column if one follows. */
export interface PatternPiece {
  readonly literal: string
  readonly column: string | undefined
}

/**
 * The form of the keys of a binding, with names of columns in braces: `order:{tenant}:{id}`. No value contains a colon,
 * because it is written as `%3A`. So the parts of a key correspond to those of the pattern.
 */
export class KeyPattern {
  readonly text: string
  /** The parts between colons. */
  readonly #parts: readonly PatternPiece[]

  constructor(text: string) {
    this.text = text
    this.#parts = text.split(':').map((part) => {
      const [literal = '', column] = part.split('{')
      return { literal, column: column?.slice(0, -1) }
    })
  }

  /** All texts and columns in their order, with the colons. */
  get pieces(): readonly PatternPiece[] {
    return this.#parts.map(({ literal, column }, index) => ({
      literal: index === 0 ? literal : `:${literal}`,
      column,
    }))
  }

  /** Returns true if the key has the form of the pattern, even if no row can have it. */
  covers(key: string): boolean {
    return this.#walk(key, undefined)
  }

  /**
   * Returns the values of the columns as the key spells them, in the order of the pattern; undefined if the key has
   * another form.
   */
  valuesIn(key: string): readonly string[] | undefined {
    const values: string[] = []
    return this.#walk(key, values) ? values : undefined
  }

  /** Compares a key with the pattern, and appends the values of the columns. A miss does it several times. */
  #walk(key: string, values: string[] | undefined): boolean {
    const last = this.#parts.length - 1
    let start = 0
    for (const [index, { literal, column }] of this.#parts.entries()) {
      const colon = key.indexOf(':', start)
      if ((colon === -1) !== (index === last) || !key.startsWith(literal, start)) return false
      const end = colon === -1 ? key.length : colon
      const from = start + literal.length
      if (column === undefined && from !== end) return false
      if (column !== undefined) values?.push(key.slice(from, end))
      start = end + 1
    }
    return true
  }
}
