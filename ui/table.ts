import { create, update } from './elements.js'

/** A cell of a table: a text, or an element, with a class. */
export type Cell = string | { readonly content: string | Node; readonly className?: string }

/** Returns a row of a table. */
export function row(cells: readonly Cell[], className = ''): HTMLTableRowElement {
  const element = create('tr', className)
  element.append(...cells.map(cellOf))
  return element
}

/** Returns a row with one text, for a table that has no other. */
export function emptyRow(text: string, columns: number): HTMLTableRowElement {
  const element = create('tr', 'quiet')
  const cell = create('td', '', text)
  cell.colSpan = columns
  element.append(cell)
  return element
}

function cellOf(cell: Cell): HTMLTableCellElement {
  if (typeof cell === 'string') return create('td', '', cell)
  const element = create('td', cell.className)
  element.append(cell.content)
  return element
}

/**
 * Replaces the rows of a table. Each cell is labelled with the name of its column, which narrow windows show before it.
 */
export function fill(body: HTMLElement, rows: readonly HTMLTableRowElement[]): void {
  label(body, rows)
  body.replaceChildren(...rows)
}

/** Makes the rows of a table equal to others, as `fill` does, and keeps those that are equal already. */
export function refresh(body: HTMLElement, rows: readonly HTMLTableRowElement[]): void {
  label(body, rows)
  update(body, rows)
}

/** Adds rows at the end of a table. */
export function append(body: HTMLElement, rows: readonly HTMLTableRowElement[]): void {
  label(body, rows)
  body.append(...rows)
}

function label(body: HTMLElement, rows: readonly HTMLTableRowElement[]): void {
  const names = [...(body.closest('table')?.querySelectorAll('th') ?? [])].map(
    (head) => head.textContent ?? '',
  )
  for (const { cells } of rows) {
    if (cells.length !== names.length) continue
    for (const [index, cell] of [...cells].entries()) cell.dataset.label = names[index] ?? ''
  }
}
