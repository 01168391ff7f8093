/** A fenced block of a page. */
export interface Block {
  readonly language: string
  /** Words after the language. `run`: a test runs it. `prints`: and compares its output with the next block. */
  readonly marks: readonly string[]
  readonly text: string
  readonly line: number
}

/** Returns the fenced blocks of a page, in their order, also those of lists, without their indentation. */
export function blocksOf(page: string): Block[] {
  const blocks: Block[] = []
  for (const match of page.matchAll(/^( *)```([^\n]*)\n(.*?)^\1```$/gms)) {
    const [, indentation = '', info = '', indented = ''] = match
    const [language = '', ...marks] = info.trim().split(/\s+/)
    const text = indented.replaceAll(new RegExp(`^${indentation}`, 'gm'), '')
    blocks.push({ language, marks, text, line: page.slice(0, match.index).split('\n').length })
  }
  return blocks
}

/** Returns how many commands a block of shell has: a line that ends in a backslash goes on in the next. */
export function commandsIn(text: string): number {
  const lines = text.replaceAll(/\\\n/g, ' ').split('\n')
  return lines.filter((line) => line.trim() !== '' && !line.startsWith('#')).length
}
