import type { LoadReport } from './report.js'

/** What makes two runs comparable. */
const conditions = ['mix', 'keys', 'rate', 'connections', 'valueBytes'] as const

/** What `--json` wrote. Throws an Error that says that this is something else. */
export function parseBaseline(text: string): LoadReport {
  const parsed = jsonOf(text)
  if (typeof parsed !== 'object' || parsed === null || !('report' in parsed) || parsed.report !== marker)
    throw new Error('this is not what bench --json has written')
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

/** In words, each condition that is not the same. */
export function differences(
  now: Pick<LoadReport, (typeof conditions)[number]>,
  before: Pick<LoadReport, (typeof conditions)[number]>,
): string[] {
  return conditions
    .filter((name) => now[name] !== before[name])
    .map((name) => `${name} was ${before[name]} and is ${now[name]}`)
}
