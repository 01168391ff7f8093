import type { KeysView as Answer, WriteAnswer } from '../../src/http/ops/page/view-data.js'
import { byId, setText, whileDisabled } from '../elements.js'
import { visible } from '../format.js'
import type { Session } from '../session.js'

type Entry = Answer['entries'][number]

const words: Readonly<Record<WriteAnswer['outcome'], string>> = {
  written: 'written to the database.',
  deleted: 'deleted.',
  absent: 'there is no such key in the database.',
  pending: 'pending. The database is unavailable, so this sidecar keeps the change, and sends it later.',
  dropped: 'dropped from the memory of this sidecar. The next read asks the database.',
  'not-held': 'this sidecar holds nothing of it in memory.',
  'dropped-everywhere': 'all sidecars were told to drop it from memory. Their next reads ask the database.',
}

/** The form that sets, deletes and drops a key, if the sidecar allows that. */
export class WriteView {
  readonly #session: Session
  readonly #onWritten: () => void
  readonly #key = byId<HTMLInputElement>('write-key')
  readonly #value = byId<HTMLTextAreaElement>('write-value')
  readonly #ttl = byId<HTMLInputElement>('write-ttl')
  readonly #groups = byId<HTMLInputElement>('write-groups')
  readonly #note = byId('write-note')
  readonly #confirm = byId<HTMLDialogElement>('confirm')
  readonly #buttons: readonly HTMLButtonElement[]
  /** Groups of the entry that was chosen, and their text: a name may contain a comma. */
  #chosen: { readonly groups: readonly string[]; readonly text: string } = { groups: [], text: '' }

  /** Calls `onWritten` after each change. */
  constructor(session: Session, onWritten: () => void) {
    this.#session = session
    this.#onWritten = onWritten
    const form = byId('write-form')
    this.#buttons = [...form.querySelectorAll('button')]
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      this.#set()
    })
    const onClick = (id: string, act: () => void) => {
      byId(id).addEventListener('click', () => {
        if (this.#key.reportValidity()) act()
      })
    }
    onClick('write-delete', () => this.#ask())
    onClick('write-drop', () => this.#write('drop', { key: this.#key.value, everywhere: false }))
    onClick('write-drop-all', () => this.#write('drop', { key: this.#key.value, everywhere: true }))
    byId('confirm-no').addEventListener('click', () => this.#confirm.close())
    byId('confirm-yes').addEventListener('click', () => {
      this.#confirm.close()
      this.#write('delete', { key: this.#key.value })
    })
  }

  /** Fills the form with an entry of the list. A value that is not shown as a whole is left out. */
  choose({ key, value = '…', expiresInSeconds, groups }: Entry): void {
    this.#key.value = key
    this.#value.value = value.endsWith('…') ? '' : value
    this.#ttl.value = expiresInSeconds === null ? '' : String(Math.ceil(expiresInSeconds))
    this.#chosen = { groups, text: groups.join(', ') }
    this.#groups.value = this.#chosen.text
    setText(this.#note, '')
    byId('write-title').scrollIntoView()
    this.#value.focus({ preventScroll: true })
  }

  #ask(): void {
    setText(byId('confirm-key'), visible(this.#key.value))
    this.#confirm.showModal()
  }

  /** Sends a value as it was entered, if it is JSON: a number keeps its digits. */
  #set(): void {
    const { groups, text } = this.#chosen
    const entered = this.#groups.value
    const rest = {
      key: this.#key.value,
      ...(this.#ttl.value !== '' && { ttl_seconds: Number(this.#ttl.value) }),
      groups: entered === text ? groups : entered.split(',').flatMap((name) => name.trim() || []),
    }
    const value = isJson(this.#value.value) ? this.#value.value : JSON.stringify(this.#value.value)
    this.#send('set', rest.key, `${JSON.stringify(rest).slice(0, -1)},"value":${value}}`)
  }

  #write(action: 'delete' | 'drop', body: { readonly key: string; readonly everywhere?: boolean }): void {
    this.#send(action, body.key, JSON.stringify(body))
  }

  #send(action: 'set' | 'delete' | 'drop', key: string, body: string): void {
    whileDisabled(this.#buttons, async () => {
      setText(this.#note, 'Asking the sidecar …')
      try {
        const { outcome } = await this.#session.post(action, body)
        setText(this.#note, visible(`${key}: ${words[outcome]}`))
        this.#onWritten()
      } catch (error) {
        const { message } = error as Error
        // Some reasons begin with the key.
        setText(this.#note, visible(message.startsWith(`${key}: `) ? message : `${key}: ${message}`))
      }
    })
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
