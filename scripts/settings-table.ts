import { markdownTable } from '../bench/markdown.js'
import { shownText, shownValue } from '../src/config/describe-settings.js'
import type { Setting } from '../src/config/setting.js'
import { settings } from '../src/config/settings/settings.js'

const begin = '<!-- npm run docs:settings writes this table -->\n\n'
const end = '\n<!-- end of the table -->'

/** The page that has the table. */
export const settingsPage = 'docs/reference/configuration.md'

/** Returns the table of settings as Markdown. */
export function settingsTable(all: Readonly<Record<string, Setting<unknown>>> = settings): string {
  const rows = Object.values(all).map(({ redact, ...one }) => [
    `\`${one.variable}\`${one.reloads ? ' ↻' : ''}`,
    // The password in the default is public.
    one.like ? `\`${all[one.like]?.variable}\`` : code(shownText(shownValue(one, one.fallback))),
    one.about.replaceAll('|', '\\|'),
  ])
  return markdownTable([['variable', 'default', 'meaning'], ...rows], { endsInProse: true })
}

/** Returns the text with its table replaced. Throws if the text has no place for a table. */
export function withSettingsTable(text: string, table: string): string {
  const from = text.indexOf(begin)
  const to = text.indexOf(end, from)
  if (from < 0 || to < 0) throw new Error(`the page has no "${begin.trim()}", or no end of the table`)
  return text.slice(0, from + begin.length) + table + text.slice(to)
}

function code(text: string): string {
  return text === 'none' ? text : `\`${text}\``
}
