import type { ChangeRow, Changes, Opening } from '../../src/http/ops/page/page-data.js'
import { byId, create, setText } from '../elements.js'
import { count, time, visible } from '../format.js'
import { emptyRow } from '../table.js'

const keptRows = 200

const words: Readonly<Record<ChangeRow['operation'], string>> = {
  set: 'set',
  delete: 'deleted',
  row: 'row changed',
  drop: 'dropped',
  gap: 'gap',
}

const origins: Readonly<Record<NonNullable<ChangeRow['origin']>, string>> = {
  here: 'this sidecar',
  elsewhere: 'another sidecar, or SQL',
  sql: 'SQL',
}

/** The last changes, newest first, with a filter and a pause. */
export class ChangesView {
  readonly #filter = byId<HTMLInputElement>('filter')
  readonly #pause = byId<HTMLButtonElement>('pause')
  readonly #note = byId('changes-note')
  readonly #body = byId('changes')
  #rows: ChangeRow[] = []
  /** Rows that are shown while it is paused. */
  #paused: readonly ChangeRow[] | undefined
  #skipped = 0

  constructor() {
    this.#filter.addEventListener('input', () => this.#render())
    this.#pause.addEventListener('click', () => {
      this.#paused = this.#paused ? undefined : [...this.#rows]
      const isPaused = this.#paused !== undefined
      this.#pause.setAttribute('aria-pressed', String(isPaused))
      this.#render()
    })
  }

  open({ changes }: Opening): void {
    this.#rows = [...changes.rows]
    this.#skipped = 0
    this.#render()
  }

  add({ rows, skipped }: Changes): void {
    this.#rows.push(...rows)
    this.#rows.splice(0, this.#rows.length - keptRows)
    this.#skipped += skipped
    this.#render()
  }

  #render(): void {
    const all = this.#paused ?? this.#rows
    const wanted = this.#filter.value.toLowerCase()
    const shown = all.filter(({ key = '' }) => key.toLowerCase().includes(wanted)).reverse()
    if (shown.length > 0) this.#body.replaceChildren(...shown.map(rowOf))
    else
      this.#body.replaceChildren(
        emptyRow(all.length > 0 ? 'No key contains the filter.' : 'No change since the start.', 4),
      )
    const parts = [
      `${count(shown.length)} of the last ${count(all.length)} changes`,
      this.#paused && 'paused',
      this.#skipped > 0 && `${count(this.#skipped)} left out: too many at once`,
    ]
    setText(this.#note, parts.filter(Boolean).join(', '))
  }
}

function rowOf({ atMs, operation, origin, key, isHash }: ChangeRow): HTMLElement {
  const row = create('tr', operation === 'gap' ? 'gap' : '')
  const text =
    operation === 'gap' ? 'Changes may have been missed: all entries were compared.' : visible(key ?? '')
  const cell = create('td', operation === 'gap' ? '' : 'key', isHash ? `${text}… (hash)` : text)
  row.append(
    create('td', 'time', time(atMs)),
    create('td', 'word', words[operation]),
    create('td', 'origin', origin ? origins[origin] : ''),
    cell,
  )
  return row
}
