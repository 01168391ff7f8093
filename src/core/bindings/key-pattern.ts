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
    return this.valuesIn(key) !== undefined
  }

  /**
   * Returns the values of the columns as the key spells them, in the order of the pattern; undefined if the key has
   * another form.
   */
  valuesIn(key: string): readonly string[] | undefined {
    const [first] = this.#parts
    if (first === undefined || !key.startsWith(first.literal)) return undefined
    const texts = key.split(':')
    if (texts.length !== this.#parts.length) return undefined
    const values: string[] = []
    for (const [index, { literal, column }] of this.#parts.entries()) {
      const text = texts[index] as string
      if (column === undefined ? text !== literal : !text.startsWith(literal)) return undefined
      if (column !== undefined) values.push(text.slice(literal.length))
    }
    return values
  }
}
