import type { HealthResponse } from '../http-api.js'
import { bad, type Finding, ok, warning } from '../tools/doctor/finding.js'
import { type ListenerClient, reasonOf, refusal } from './listener-client.js'
import { UsageError } from './usage-error.js'

/**
 * Asks running sidecars how they are. Returns a finding for each, and one more if their versions differ. Throws
 * UsageError if a URL is not the data listener of a sidecar.
 */
export async function sidecarFindings(listeners: readonly ListenerClient[]): Promise<readonly Finding[]> {
  const examined = await Promise.all(listeners.map(examine))
  const versions = [...new Set(examined.flatMap(({ version }) => version ?? []))].sort()
  const mixture = warning(
    'versions of the sidecars',
    `they differ: ${versions.join(', ')}`,
    'finish the upgrade; neighbouring versions work side by side meanwhile',
  )
  return [...examined.map(({ finding }) => finding), ...(versions.length > 1 ? [mixture] : [])]
}

interface Examined {
  readonly finding: Finding
  readonly version?: string
}

async function examine(listener: ListenerClient): Promise<Examined> {
  const check = `sidecar ${listener.name}`
  try {
    const answer = await listener.ask('/health')
    if (answer.status !== 200) throw refusal(answer)
    const health = answer.body as unknown as HealthResponse
    return { finding: findingOf(check, health), version: health.version }
  } catch (error) {
    if (error instanceof UsageError) throw error
    const cure = 'check that it runs, and that the URL is that of its data listener'
    return { finding: bad(check, `does not answer: ${reasonOf(error, listener)}`, cure) }
  }
}

function findingOf(check: string, health: HealthResponse): Finding {
  const { version, feed, reason, failing = {}, pending_writes: pending } = health
  const faults = Object.entries(failing).map(([operation, why]) => `${operation}s fail: ${why}`)
  if (faults.length === 0 && feed === 'down') faults.push(`its feed is down${reason ? `: ${reason}` : ''}`)
  const kept = pending ? [pendingText(pending)] : []
  const keep = 'do not restart it before they are written'
  const cure = 'run doctor with the settings of this sidecar, and read its log'
  if (faults.length > 0)
    return bad(check, [...faults, ...kept].join('; '), pending ? `${cure}; ${keep}` : cure)
  return pending ? warning(check, kept.join(), keep) : ok(check, `version ${version}, feed ${feed}`)
}

function pendingText({ count, reason }: NonNullable<HealthResponse['pending_writes']>): string {
  const subject = count === 1 ? '1 write is' : `${count} writes are`
  return `${subject} not in the database yet${reason ? `: ${reason}` : ''}`
}
