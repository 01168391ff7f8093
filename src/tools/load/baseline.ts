import type { LoadReport } from './report.js'

/** Conditions that must be equal for two runs to be comparable. */
const conditions = ['mix', 'keys', 'rate', 'connections', 'valueBytes'] as const

/** Parses a report that `bench --json` has written. Throws an Error if the text is something else. */
export function parseBaseline(text: string): LoadReport {
  const parsed = jsonOf(text)
  if (typeof parsed !== 'object' || parsed === null || !('report' in parsed) || parsed.report !== marker)
    throw new Error('this is not a report of bench --json')
  return parsed as LoadReport
}

const marker: LoadReport['report'] = 'caching-layer bench'

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Returns a sentence for each condition that differs. */
export function differences(
  now: Pick<LoadReport, (typeof conditions)[number]>,
  before: Pick<LoadReport, (typeof conditions)[number]>,
): string[] {
  return conditions
    .filter((name) => now[name] !== before[name])
    .map((name) => `${name} was ${before[name]} and is ${now[name]}`)
}
