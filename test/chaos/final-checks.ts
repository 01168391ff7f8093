import { setTimeout as sleep } from 'node:timers/promises'
import { boundChecks } from './bound/bound-checks.js'
import type { BoundWorkload } from './bound/bound-workload.js'
import { asSent } from './entry-value.js'
import type { Faults } from './faults/faults.js'
import { recoveryLimitMs } from './faults/recovery.js'
import type { Fleet } from './fleet/fleet.js'
import type { Observer } from './fleet/observer.js'
import type { SqlClient } from './fleet/sql-client.js'
import type { NearCaches } from './near/near-caches.js'
import type { NearWorkload } from './near/near-workload.js'
import { checkConvergence, type FinalRead, type FinalReader } from './oracle/convergence.js'
import { checkDurability, type DurabilityResult } from './oracle/durability.js'
import type { Recorder } from './oracle/recorder.js'
import type { Violations } from './oracle/violations.js'
import { counterKey, counterOf, longestLifetimeMs, type Workload } from './workload.js'

export interface FinalChecksParts {
  readonly fleet: Fleet
  readonly sql: SqlClient
  readonly workload: Workload
  readonly bound: BoundWorkload
  readonly nearCaches: NearCaches
  readonly nearWorkload: NearWorkload
  readonly faults: Faults
  readonly observer: Observer
  readonly recorder: Recorder
  readonly violations: Violations
  readonly maxStalenessMs: number
}

/** Ends the workload after the last fault, waits until the fleet has settled, and compares it with the primary. */
export async function finalChecks(
  parts: FinalChecksParts,
): Promise<{ readonly durability: DurabilityResult; readonly converged: number }> {
  const { fleet, sql, workload, bound, nearCaches, nearWorkload, faults } = parts
  const { observer, recorder, violations, maxStalenessMs } = parts
  for (const { proxy } of fleet.members) proxy.heal({ reset: true })
  for (const one of [workload, bound, nearWorkload]) one.stopWrites()
  const settled = async (missing: Promise<string | undefined>) => {
    const late = await missing
    if (late) violations.add({ promise: 'recovery', text: `at the end ${late}`, around: [] })
  }
  await settled(untilSettled(fleet, observer))
  await Promise.all([workload.stop(), bound.stop(), nearWorkload.stop()])
  // The last change may be served stale for the promised time; by then every expiring row has expired.
  const allChangesMs = Math.max(maxStalenessMs, longestLifetimeMs) + 200
  await Promise.all([settled(nearCaches.calmDown()), sleep(allChangesMs)])

  const { history } = recorder
  const once = workload.once.map(({ key }) => key)
  const rows = await sql.readAll([...history.keys, ...once])
  const stored = new Map<string, string>()
  for (const [key, { value, isExpired }] of rows) if (!isExpired) stored.set(key, value)
  // Recorded as a strong read, which decides between all orders that were possible so far.
  for (const key of history.keys) {
    const read = recorder.beginRead({ kind: 'sql', key, by: 'end', via: 'sql' })
    const value = stored.get(key) ?? null
    recorder.endRead(read, { kind: 'entry', value, source: 'db', stale: false, status: '' }, false)
  }

  const counter = await fleet.members[0]?.client.getTagged(counterKey, { consistency: 'strong' })
  const counted = counter && counterOf(counter.text)
  if (counted) recorder.increments.check(counted)

  const readers: FinalReader[] = [
    ...fleet.members.map(({ sidecar, client }) => ({
      name: sidecar.name,
      get: (key: string) => client.get(key),
    })),
    ...nearCaches.clients.map((client) => ({ name: client.name, get: (key: string) => client.get(key) })),
  ]
  const reads: FinalRead[] = []
  for (const { name, get } of readers) {
    const sample = [...history.keys, ...once.slice(-50)]
    for (const key of sample) reads.push({ key, reader: name, answer: await get(key) })
  }
  for (const text of checkConvergence(reads, stored))
    violations.add({ promise: 'convergence', text, around: [] })
  const rowsCompared = await boundChecks(fleet, readers, bound, violations)

  const durability = checkDurability({
    history,
    once: workload.once,
    // Rows that have expired are among those that were written once, until they are swept.
    stored: new Map([
      ...once.flatMap((key): [string, string][] => {
        const row = rows.get(key)
        return row ? [[key, row.value]] : []
      }),
      ...history.keys.flatMap((key): [string, string][] => {
        const value = stored.get(key)
        return value === undefined ? [] : [[key, asSent(value)]]
      }),
    ]),
    keepers: observer.keepers,
    truncatedByMs: faults.truncatedByMs,
    lostTails: faults.lostTails,
    lifetimes: recorder.lifetimes,
  })
  for (const text of durability.violations) violations.add({ promise: 'nothing lost', text, around: [] })
  return { durability, converged: reads.length + rowsCompared }
}

/** Resolves when every feed is live and no write is pending, or to what is still missing if that takes too long. */
export async function untilSettled(
  { members }: Pick<Fleet, 'members'>,
  observer: Observer,
): Promise<string | undefined> {
  const deadlineMs = performance.now() + recoveryLimitMs
  for (;;) {
    const missing: string[] = []
    for (const member of members) {
      const { name, log } = member.sidecar
      const stats = await observer.look(member)
      if (stats?.feed.state !== 'live')
        missing.push(`${name} has no live feed (${stats?.feed.state ?? 'no answer'}; ${log.at(-1)})`)
      else if (stats.writes.pending > 0) missing.push(`${name} still keeps ${stats.writes.pending} writes`)
    }
    if (missing.length === 0) return undefined
    if (performance.now() > deadlineMs) return missing.join('; ')
    await sleep(50)
  }
}
