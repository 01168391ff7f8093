export type Cells = readonly (readonly string[])[]

/**
 * Returns the rows, of which the first is the head, as a table in Markdown. Set `endsInProse` if the last column has
 * sentences: it is then not padded to the longest of them.
 */
export function markdownTable(cells: Cells, { endsInProse = false } = {}): string {
  const [head = []] = cells
  const widths = head.map((_, column) =>
    endsInProse && column === head.length - 1
      ? 3
      : Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)),
  )
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |\n`
  return [head, widths.map((width) => '-'.repeat(width)), ...cells.slice(1)].map(line).join('')
}

/** The page with the text in its place: between the comment that says `who`, and the next that says "its end". */
export function written(page: string, who: string, text: string): string {
  const begin = `<!-- ${who} -->\n\n`
  const end = '\n<!-- its end -->'
  const from = page.indexOf(begin)
  const to = page.indexOf(end, from)
  if (from < 0 || to < 0) throw new Error(`there is no "${begin.trim()}" with its end`)
  return `${page.slice(0, from + begin.length)}${text}${page.slice(to)}`
}
