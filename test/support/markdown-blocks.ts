/** A fenced block of a page. */
export interface Block {
  readonly language: string
  /** Words after the language. `run`: a test runs it. `prints`: and compares its output with the next block. */
  readonly marks: readonly string[]
  readonly text: string
  readonly line: number
}

/** Returns the fenced blocks of a page, in their order. */
export function blocksOf(page: string): Block[] {
  const blocks: Block[] = []
  for (const { index, 1: info = '', 2: text = '' } of page.matchAll(/^```([^\n]*)\n(.*?)^```$/gms)) {
    const [language = '', ...marks] = info.trim().split(/\s+/)
    blocks.push({ language, marks, text, line: page.slice(0, index).split('\n').length })
  }
  return blocks
}

/** Returns how many commands a block of shell has: a line that ends in a backslash goes on in the next. */
export function commandsIn(text: string): number {
  const lines = text.replaceAll(/\\\n/g, ' ').split('\n')
  return lines.filter((line) => line.trim() !== '' && !line.startsWith('#')).length
}
