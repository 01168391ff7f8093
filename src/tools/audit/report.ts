import { textTable } from '../../text/text-table.js'
import type { Report, SidecarAnswers, Within } from './tally.js'
import type { Violation } from './violation.js'

const numbers = new Intl.NumberFormat('en-US')

/** Returns the result as text for people. */
export function reportText(report: Report): string {
  const { elapsedMs, changes, sampled, overtaken, unnamed, feedLosses, primaryReads } = report
  const bound = report.within.at(-1)
  const lines = [
    ...report.within.map((within) => withinText(within, within === bound)),
    `${count(report.violations, 'violation')} of the bound`,
    ...report.examples.map((violation) => `  ${violationText(violation)}`),
    ...(report.violations > report.examples.length ? ['  ...'] : []),
    '',
    ...table(report.sidecars),
    '',
    `${numbers.format(sampled)} of ${count(changes, 'change')} sampled in ${duration(elapsedMs)}` +
      ` (${numbers.format(overtaken)} then overtaken by a newer one, ${numbers.format(unnamed)} named no key);` +
      ` the primary was read ${count(primaryReads, 'time')}, the change feed lost ${count(feedLosses, 'time')}`,
  ]
  if (bound && bound.writes > 0 && bound.held === 0)
    lines.push('No sidecar held any of the sampled keys when asked: this shows little.')
  return lines.join('\n')
}

/** Returns one line about the progress. */
export function progressText(report: Report, underWay: number): string {
  const within = report.within.map(({ ms, writes, consistent }) => `${label(ms)} ${consistent}/${writes}`)
  const { elapsedMs, changes, sampled, violations } = report
  return (
    `${duration(elapsedMs)}: ${count(violations, 'violation')}; consistent within ${within.join(', ')};` +
    ` ${numbers.format(sampled)} of ${count(changes, 'change')} sampled, ${underWay} under way`
  )
}

export function violationText({ sidecar, key, version, ageMs }: Violation): string {
  const change = version.startsWith('-') ? 'its deletion' : `version ${version}`
  return (
    `${sidecar} served as fresh what key ${JSON.stringify(key)} held before ${change},` +
    ` ${numbers.format(Math.floor(ageMs))} ms after that was announced`
  )
}

/** Returns the result as JSON. */
export function reportJson(report: Report): string {
  return JSON.stringify({
    elapsed_seconds: Math.round(report.elapsedMs) / 1_000,
    changes: report.changes,
    changes_unnamed: report.unnamed,
    sampled: report.sampled,
    overtaken: report.overtaken,
    feed_losses: report.feedLosses,
    primary_reads: report.primaryReads,
    within: report.within.map(({ ms, writes, consistent, held, errorRateAtMost }) => ({
      ms,
      writes,
      consistent,
      held,
      error_rate_at_most: errorRateAtMost ?? null,
    })),
    violations: report.violations,
    violation_examples: report.examples.map(({ sidecar, key, version, ageMs }) => ({
      sidecar,
      key,
      version,
      age_ms: Math.floor(ageMs),
    })),
    sidecars: report.sidecars,
  })
}

function withinText({ ms, writes, consistent, errorRateAtMost }: Within, isBound: boolean): string {
  const rate = errorRateAtMost === undefined ? '' : ` (error rate at most ${percent(errorRateAtMost)}, 95 %)`
  return (
    `${numbers.format(consistent)} of ${numbers.format(writes)} sampled writes consistent within ${label(ms)}` +
    `${isBound ? ', the bound' : ''}${rate}`
  )
}

function table(sidecars: readonly SidecarAnswers[]): string[] {
  const rows = [
    ['sidecar', 'fresh', 'nothing held', 'marked stale', 'no answer'],
    ...sidecars.map(({ url, fresh, nothing, stale, unanswered }) => [
      url,
      ...[fresh, nothing, stale, unanswered].map((times) => numbers.format(times)),
    ]),
  ]
  return textTable(rows, { numbers: true })
}

function label(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`
}

function duration(ms: number): string {
  const seconds = Math.floor(ms / 1_000)
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

function percent(rate: number): string {
  return `${Number((rate * 100).toPrecision(2))} %`
}

function count(times: number, what: string): string {
  return `${numbers.format(times)} ${what}${times === 1 ? '' : 's'}`
}
