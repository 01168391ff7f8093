import { textTable } from '../src/text/text-table.js'
import type { Target } from './comparison.js'
import type { Section } from './results.js'
import type { Spread } from './statistics.js'
import type { Outcome } from './verdict.js'

const head = ['work', 'sidecar', 'against', '', 'ratio (min..max)', 'target', '']

/** The results for people. */
export function tableOf(sections: readonly Section[]): string {
  return textTable([head, ...sections.flatMap(({ rows }) => rows.map(lineOf))]).join('\n')
}

function lineOf(row: Outcome): string[] {
  const { work, against = '', unit, ours, theirs, compared, target, verdict, missing } = row
  const of = row.of.startsWith('sidecar') ? '' : `, ${row.of}`
  return [
    `${work}${of}`,
    ours ? `${numberOf(ours.median)} ${unit}` : '',
    against,
    theirs ? numberOf(theirs.median) : '',
    compared ? comparedText(compared, target) : '',
    target ? targetText(target) : '',
    [verdict === 'missing' ? missing : verdict === 'for reference' ? '' : verdict, row.remark]
      .filter(Boolean)
      .join('; '),
  ]
}

export function comparedText({ median, min, max }: Spread, target: Target | undefined): string {
  const isDifference = target !== undefined && 'atMostMore' in target
  const text = (value: number) =>
    isDifference ? `${value >= 0 ? '+' : ''}${Math.round(value)}` : value.toFixed(2)
  return `${text(median)} (${text(min)}..${text(max)})`
}

export function targetText(target: Target): string {
  if ('atLeast' in target) return `>= ${target.atLeast}`
  return 'atMost' in target ? `<= ${target.atMost}` : `<= +${target.atMostMore}`
}

/** Returns the number with its significant digits. */
export function numberOf(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(3)))
}
