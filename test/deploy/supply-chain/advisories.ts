/** Advisories of npm against the packages that the program needs. */
export type Advisories =
  | { readonly known: true; readonly lines: readonly string[] }
  /** The registry was unavailable, or is a mirror without advisories. */
  | { readonly known: false; readonly reason: string }

interface Report {
  readonly vulnerabilities?: Readonly<Record<string, Vulnerability>>
  readonly message?: string
}

interface Vulnerability {
  readonly severity: string
  readonly range: string
  /** Advisories, or names of packages that have one. */
  readonly via: readonly (string | { readonly title: string; readonly url: string })[]
}

/** Reads what `npm audit --json` prints. */
export function advisoriesIn(output: string): Advisories {
  let report: Report
  try {
    report = JSON.parse(output)
  } catch {
    return { known: false, reason: 'npm audit printed no JSON' }
  }
  if (report.vulnerabilities === undefined)
    return { known: false, reason: report.message ?? 'npm audit printed no report' }
  const lines = Object.entries(report.vulnerabilities).map(([name, { severity, range, via }]) => {
    const reasons = via.map((one) =>
      typeof one === 'string' ? `by way of ${one}` : `${one.title} (${one.url})`,
    )
    return `${severity}: ${name} ${range}: ${reasons.join('; ')}`
  })
  return { known: true, lines }
}
