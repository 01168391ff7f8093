import { describeSettings, shownText } from '../../config/describe-settings.js'
import { openHostWarning, refuseInheritedHost } from '../../config/host-intent.js'
import { loadConfig } from '../../config/load.js'
import { plannedListeners, refuseSharedPorts } from '../../config/shared-ports.js'
import { textTable } from '../../text/text-table.js'
import type { Command } from '../command.js'
import { UsageError } from '../usage-error.js'

/** Prints all settings and their sources, or only checks them. */
export const config: Command = {
  options: {
    json: { type: 'boolean', about: 'print them as a JSON object' },
    check: { type: 'boolean', about: 'only check them' },
  },
  settings: 'listed',
  async run({ flags, values, environment, out, note }) {
    if (flags.size > 1) throw new UsageError('config: --json and --check exclude each other')
    const loaded = loadConfig(environment, { flags: values })
    for (const warning of loaded.warnings) note(warning)
    refuseInheritedHost(loaded)
    refuseSharedPorts(plannedListeners(loaded.config))
    const openHost = openHostWarning(loaded.config)
    if (openHost !== undefined) note(openHost)
    if (flags.has('check')) {
      const count = loaded.warnings.length
      note(`the settings are valid${count === 0 ? '' : `, with ${count} warning${count === 1 ? '' : 's'}`}`)
      return 0
    }
    const shown = describeSettings(loaded)
    if (flags.has('json')) {
      const byVariable = shown.map(({ variable, ...one }) => [variable, one])
      out(JSON.stringify(Object.fromEntries(byVariable), undefined, 2))
      return 0
    }
    const rows = shown.flatMap((one) => [
      [one.variable, shownText(one.value), shownText(one.default), one.unit ?? '', one.source],
      ...Object.entries(one.parts ?? {}).map(([part, bytes]) => [
        `  ${part}`,
        String(bytes),
        '',
        'bytes',
        '',
      ]),
    ])
    for (const line of textTable([['setting', 'value', 'default', 'unit', 'source'], ...rows])) out(line)
    return 0
  },
}
