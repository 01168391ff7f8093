import { createHash } from 'node:crypto'

/**
 * Names of the prepared statements, by text. Each connection prepares a statement once, because planning it takes
 * longer than running it.
 */
export class StatementNames {
  /** Undefined behind a pooler that may send each statement to another connection. */
  #names: Map<string, string> | undefined = new Map()

  /**
   * Returns a name derived from the text. So it never stands for two statements, even if clients share the connection.
   * Returns undefined if statements are not prepared.
   */
  of(text: string): string | undefined {
    if (this.#names === undefined) return undefined
    let name = this.#names.get(text)
    if (name === undefined) {
      name = `caching_layer_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`
      this.#names.set(text, name)
    }
    return name
  }

  /** Stops preparing statements. */
  giveUp(): void {
    this.#names = undefined
  }
}
