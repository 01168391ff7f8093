import type { Config } from '../config/config.js'
import type { Finding } from '../tools/doctor/finding.js'

/** Checks the database of these settings as `doctor` does, and returns all findings. */
export async function inspectDatabase(config: Config): Promise<readonly Finding[]> {
  // Loaded on demand, because most sidecars never need it.
  const { examine } = await import('../tools/doctor/doctor.js')
  const findings: Finding[] = []
  for await (const finding of examine({ ...config, sidecars: undefined, now: Date.now }))
    findings.push(finding)
  return findings
}
