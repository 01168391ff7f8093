/**
 * Returns rows of cells as lines with aligned columns. Set `numbers` if all columns but the first hold numbers, which
 * are aligned to the right.
 */
export function textTable(rows: readonly (readonly string[])[], { numbers = false } = {}): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return numbers && column > 0 ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
}
