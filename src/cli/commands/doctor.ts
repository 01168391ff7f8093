import { loadConfig } from '../../config/load.js'
import { examine } from '../../tools/doctor/doctor.js'
import type { Finding, Level } from '../../tools/doctor/finding.js'
import type { Command } from '../command.js'
import { dataListeners, dataUrlsOption } from '../listeners.js'
import { sidecarFindings } from '../sidecar-findings.js'
import { UsageError } from '../usage-error.js'

/** Checks everything that a sidecar needs from its database. Prints a line for each finding, with the cure. */
export const doctor: Command = {
  options: {
    sidecars: { type: 'string', value: 'NUMBER', about: 'number of sidecars that the database has to serve' },
    json: { type: 'boolean', about: 'print the findings as JSON' },
    url: { ...dataUrlsOption, about: 'data listener of a sidecar to check as well; repeat it for several' },
  },
  settings: 'accepted',
  async run({ flags, values, lists, environment, out, note }) {
    const sidecars = countOf(values.get('sidecars'))
    const { config, warnings } = loadConfig(environment, { flags: values })
    for (const warning of warnings) note(warning)
    const findings: Finding[] = []
    const add = (finding: Finding) => {
      findings.push(finding)
      if (!flags.has('json')) out(lineOf(finding))
    }
    // Without --url, no sidecar has to be running.
    const running = lists.has('url') ? await dataListeners({ environment, values, lists }) : []
    for (const finding of await sidecarFindings(running)) add(finding)
    for await (const finding of examine({ ...config, sidecars, now: Date.now })) add(finding)
    if (flags.has('json')) out(JSON.stringify(findings))
    return findings.every(({ ok }) => ok) ? 0 : 1
  },
}

const marks: Readonly<Record<Level, string>> = { ok: '✔', warning: '⚠', bad: '✘', skipped: '–' }

function lineOf({ check, level, says, cure }: Finding): string {
  return `${marks[level]} ${check}: ${says}${cure === undefined ? '' : ` → ${cure}`}`
}

function countOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new UsageError('doctor: --sidecars must be a whole number above 0')
  return Number(text)
}
