import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig } from '../../config/load.js'
import { readApiToken } from '../../config/read-api-token.js'
import { Audit } from '../../tools/audit/audit.js'
import { progressText, reportJson, reportText, violationText } from '../../tools/audit/report.js'
import type { Report } from '../../tools/audit/tally.js'
import type { Command } from '../command.js'
import { ListenerClient } from '../listener-client.js'
import { UsageError } from '../usage-error.js'

const progressIntervalMs = 1_000
const defaultSampleRate = 0.1
const maxMinutes = 1_000_000
const refusalTimeoutMs = 2_000

/** Exit code of an audit that could not be carried out, so that scripts can tell it from a broken promise (1). */
const notCarriedOut = 3

/**
 * Checks the sidecars of a live fleet while their clients use them. Exits with 1 only after a violation, and with 3 if
 * the audit could not be carried out: changes cannot be received, or a sidecar has never answered.
 */
export const audit: Command = {
  failureCode: notCarriedOut,
  options: {
    sample: { type: 'string', value: 'FRACTION', about: 'share of the changes that are checked (0.1)' },
    minutes: { type: 'string', value: 'MINUTES', about: 'duration; by default until it is stopped' },
    json: { type: 'boolean', about: 'print the result as JSON' },
  },
  settings: 'accepted',
  positionals: 'URL...',
  async run({ flags, values, positionals, environment, stop, out, note, progress }) {
    if (positionals.length === 0)
      throw new UsageError('audit: name the sidecars, as in http://127.0.0.1:8025')
    const urls = [...new Set(positionals.map(sidecarUrl))]
    const sampleRate = number('sample', values.get('sample'), 1) ?? defaultSampleRate
    const minutes = number('minutes', values.get('minutes'), maxMinutes)
    const { config, warnings } = loadConfig(environment, { flags: values })
    for (const warning of warnings) note(warning)

    const apiToken = await readApiToken(config)
    const audit = new Audit(
      { urls, sampleRate, ...config, apiToken },
      { onViolation: (violation) => note(`VIOLATION ${violationText(violation)}`), onNote: note },
    )
    let silentAtStart: readonly string[] = []
    try {
      await audit.start()
      silentAtStart = await audit.silentSidecars()
      await Promise.all(silentAtStart.map((url) => refuseOperationsListener(url, apiToken)))
      const endMs = minutes === undefined ? Number.POSITIVE_INFINITY : performance.now() + minutes * 60_000
      for (;;) {
        const leftMs = endMs - performance.now()
        if (leftMs <= 0 || stop.aborted) break
        progress(progressText(audit.report(), audit.underWay))
        await sleep(Math.min(progressIntervalMs, leftMs), undefined, { signal: stop }).catch(() => undefined)
      }
    } finally {
      await audit.close()
    }
    const report = audit.report()
    out(flags.has('json') ? reportJson(report) : reportText(report))
    if (report.violations > 0) return 1
    const silent = report.sidecars
      .filter((answers) => hasNotAnswered(answers, silentAtStart.includes(answers.url)))
      .map(({ url }) => url)
    if (silent.length === 0) return 0
    note(`the audit is inconclusive: no answer that counts from ${silent.join(', ')}`)
    return notCarriedOut
  },
}

/** Returns true if a sidecar was asked, about a change or at the start, and never answered. */
function hasNotAnswered(
  { fresh, nothing, stale, unanswered }: Report['sidecars'][number],
  wasSilentAtStart: boolean,
): boolean {
  return (unanswered > 0 || wasSilentAtStart) && fresh + nothing + stale === 0
}

/** Rejects with a UsageError if the URL is that of an operations listener, which has no TLS. */
async function refuseOperationsListener(url: string, token: string | undefined): Promise<void> {
  if (!url.startsWith('http:')) return
  const listener = new ListenerClient({
    kind: 'data',
    base: new URL(url),
    token,
    timeoutMs: refusalTimeoutMs,
  })
  await listener.ask('/health').catch((error: unknown) => {
    // The audit has already said that there is no answer.
    if (error instanceof UsageError) throw error
  })
}

/** Returns the URL of a sidecar without trailing slashes. */
function sidecarUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '')
    throw new UsageError(`audit: "${text}" is not a URL like http://127.0.0.1:8025`)
  if (url.username !== '' || url.password !== '')
    throw new UsageError('audit: a URL with a user or password would be shown; leave them out')
  let end = url.href.length
  while (url.href[end - 1] === '/') end--
  return url.href.slice(0, end)
}

function number(option: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined
  const value = /^(\d+(\.\d+)?|\.\d+)$/.test(text) ? Number(text) : Number.NaN
  if (value > 0 && value <= most) return value
  throw new UsageError(`audit: --${option} must be a number above 0 and up to ${most}, not "${text}"`)
}
