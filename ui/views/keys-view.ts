import type { KeysView as Answer } from '../../src/http/ops/page/view-data.js'
import { byId, create, setText } from '../elements.js'
import { bytes, count, duration, visible } from '../format.js'
import type { Shown } from '../navigation.js'
import type { Session } from '../session.js'
import { append, type Cell, emptyRow, fill, row } from '../table.js'

type Entry = Answer['entries'][number]

/** The keys in the database, by prefix, page by page. */
export class KeysView implements Shown {
  readonly #session: Session
  readonly #onChoose: (entry: Entry) => void
  readonly #prefix = byId<HTMLInputElement>('prefix')
  readonly #more = byId<HTMLButtonElement>('keys-more')
  readonly #note = byId('keys-note')
  readonly #body = byId('keys')
  #next = ''
  #shown = 0
  #asked = 0

  /** Calls `onChoose` with the entry that is chosen to be changed. */
  constructor(session: Session, onChoose: (entry: Entry) => void) {
    this.#session = session
    this.#onChoose = onChoose
    byId('keys-form').addEventListener('submit', (event) => {
      event.preventDefault()
      this.refresh()
    })
    this.#more.addEventListener('click', () => this.#load(this.#next))
  }

  opened(): void {
    if (this.#shown === 0) this.refresh()
  }

  /** Shows the first page of the keys with the prefix that is entered. */
  refresh(): void {
    this.#shown = 0
    // More of the former list must not be added to the new one.
    this.#more.hidden = true
    this.#load('')
  }

  async #load(after: string): Promise<void> {
    setText(this.#note, 'Asking the database …')
    // An answer that comes after another question was asked, such as for another prefix, is not shown.
    const asked = ++this.#asked
    try {
      const prefix = this.#prefix.value
      const answer = await this.#session.get('keys', { ...(prefix && { prefix }), ...(after && { after }) })
      if (asked === this.#asked) this.#show(answer, after !== '')
    } catch (error) {
      if (asked === this.#asked) setText(this.#note, (error as Error).message)
    }
  }

  #show({ entries, next, hasValues }: Answer, isContinued: boolean): void {
    document.body.dataset.values = String(hasValues)
    const rows = entries.map((entry) => this.#row(entry))
    if (isContinued) append(this.#body, rows)
    else fill(this.#body, rows.length > 0 ? rows : [emptyRow('No key begins like this.', 8)])
    this.#shown += entries.length
    this.#next = next ?? ''
    this.#more.hidden = next === undefined
    const shown = this.#shown === 1 ? '1 key' : `${count(this.#shown)} keys`
    setText(this.#note, `${shown}${next === undefined ? '' : ', and there are more'}`)
  }

  #row(entry: Entry): HTMLTableRowElement {
    const change = create('button', '', 'Change')
    change.type = 'button'
    change.setAttribute('aria-label', `Change ${visible(entry.key)}`)
    change.addEventListener('click', () => this.#onChoose(entry))
    return row([...cellsOf(entry), { content: change, className: 'writes' }])
  }
}

function cellsOf({
  key,
  bytes: size,
  expiresInSeconds,
  version,
  groups,
  isHeld,
  value,
}: Entry): readonly Cell[] {
  return [
    { content: visible(key), className: 'key' },
    { content: bytes(size), className: 'number' },
    { content: expiresInSeconds === null ? 'never' : `in ${duration(expiresInSeconds * 1_000)}` },
    isHeld ? 'here' : '–',
    visible(groups.join(', ')) || '–',
    { content: version, className: 'key number' },
    { content: value ?? '(too large)', className: 'value' },
  ]
}
