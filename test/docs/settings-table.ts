import type { Setting } from '../../src/config/setting.js'
import { settings } from '../../src/config/settings.js'
import { shownText, shownValue } from '../../src/config/shown-settings.js'

const begin = '<!-- npm run docs:settings writes this table -->\n\n'
const end = '\n<!-- end of the table -->'

/** The README's table of settings, as the settings say it. */
export function settingsTable(all: Readonly<Record<string, Setting<unknown>>> = settings): string {
  const rows = Object.values(all).map(({ redact, ...one }) => [
    `\`${one.variable}\`${one.reloads ? ' ↻' : ''}`,
    // Its password is one that everybody may know.
    one.like ? `\`${all[one.like]?.variable}\`` : code(shownText(shownValue(one, one.fallback))),
    one.about.replaceAll('|', '\\|'),
  ])
  const cells = [['variable', 'default', 'meaning'], ...rows]
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  const lines = cells.map((row) => `| ${row.map((cell, n) => cell.padEnd(widths[n] ?? 0)).join(' | ')} |\n`)
  lines.splice(1, 0, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |\n`)
  return lines.join('')
}

/** The text with its table replaced. Throws when there is no place for it. */
export function withSettingsTable(text: string, table: string): string {
  const from = text.indexOf(begin)
  const to = text.indexOf(end, from)
  if (from < 0 || to < 0) throw new Error(`there is no "${begin.trim()}" with its end`)
  return text.slice(0, from + begin.length) + table + text.slice(to)
}

function code(text: string): string {
  return text === 'none' ? text : `\`${text}\``
}
