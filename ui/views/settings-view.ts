import type { ShownSetting } from '../../src/http/ops/page/view-data.js'
import { byId, create, setText } from '../elements.js'
import type { Shown } from '../navigation.js'
import type { Session } from '../session.js'
import { fill, row } from '../table.js'

/** The settings in force, with their sources. */
export class SettingsView implements Shown {
  readonly #session: Session

  constructor(session: Session) {
    this.#session = session
  }

  async opened(): Promise<void> {
    const note = byId('settings-note')
    try {
      const { settings } = await this.#session.get('settings')
      fill(byId('settings'), settings.map(rowOf))
      setText(note, 'Secrets are left out.')
    } catch (error) {
      setText(note, (error as Error).message)
    }
  }
}

function rowOf({
  variable,
  value,
  default: usual,
  unit,
  source,
  reloads,
  about,
}: ShownSetting): HTMLTableRowElement {
  const name = create('div', '', variable)
  name.append(create('p', 'about', about.replaceAll('`', '')))
  const isSet = source !== 'default'
  return row([
    { content: name, className: 'setting' },
    { content: textOf(value, unit), className: isSet ? 'key set' : 'key' },
    { content: textOf(usual, unit), className: 'key quiet' },
    source,
    reloads ? 'yes' : 'no',
  ])
}

function textOf(value: ShownSetting['value'], unit: string | null): string {
  if (value === null) return '–'
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  return unit === null ? String(value) : `${value} ${unit}`
}
