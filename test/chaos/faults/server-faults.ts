import { storedRows } from '../bound/bound-tables.js'
import type { BoundWorkload } from '../bound/bound-workload.js'
import type { Fleet } from '../fleet/fleet.js'
import type { SqlClient } from '../fleet/sql-client.js'
import type { LostTail } from '../oracle/durability.js'
import type { Recorder } from '../oracle/recorder.js'
import type { Workload } from '../workload.js'
import { ClusterCopy } from './cluster-copy.js'
import type { Pause, Timing } from './fault-timing.js'
import { FullQueue } from './full-queue.js'
import type { RecoveryWatch } from './recovery.js'
import type { FaultKind } from './schedule.js'

interface FailoverParts {
  readonly fleet: Fleet
  readonly sql: SqlClient
  readonly recorder: Recorder
  readonly bound: BoundWorkload
}

/** Promotes an asynchronous standby that has not received the last acknowledged writes. */
export async function failover(
  { fleet, sql, recorder, bound }: FailoverParts,
  { lagMs, standbyMs }: { readonly lagMs: number; readonly standbyMs: number },
  pause: Pause,
): Promise<LostTail> {
  const fromMs = performance.now()
  const standby = await ClusterCopy.ofStopped(fleet.postgres)
  await pause(lagMs)
  // SQL readers would see the new history before we know where it begins.
  sql.leave()
  await fleet.postgres.stop('immediate')
  await standby.takePlace(fleet.postgres, 'standby')
  recorder.beginAnew(await fleet.stored())
  bound.recorder.beginAnew(await storedRows(fleet))
  const toMs = performance.now()
  await pause(standbyMs)
  await fleet.administer('select pg_promote()')
  sql.comeBack()
  await fleet.standby.rebuild()
  return { fromMs, toMs }
}

/** Makes the server end idle sessions. */
export async function endIdleSessions(
  fleet: Fleet,
  { idleMs, durationMs }: { readonly idleMs: number; readonly durationMs: number },
  pause: Pause,
): Promise<void> {
  await fleet.administer(`alter system set idle_session_timeout = ${Math.round(idleMs)}`)
  await fleet.administer('select pg_reload_conf()')
  await pause(durationMs)
  await fleet.administer('alter system reset idle_session_timeout')
  await fleet.administer('select pg_reload_conf()')
}

/** A standby that sidecars read from receives the log, and shows nothing of it for a while. */
export async function standbyBehind(
  { fleet }: { readonly fleet: Fleet },
  { durationMs }: Timing,
  pause: Pause,
): Promise<void> {
  await fleet.standby.pause()
  await pause(durationMs)
  await fleet.standby.resume()
}

/** Resolves when every sidecar has a write acknowledged again, and measures how long that takes. */
export async function untilWritable(
  kind: FaultKind,
  { fleet, workload, recovery }: FullQueueParts,
): Promise<void> {
  await Promise.all(
    fleet.members.map((member) =>
      recovery.untilBack(kind, member, async () => (await workload.writeOnce(kind, member)) === 'ok'),
    ),
  )
}

interface FullQueueParts {
  readonly fleet: Fleet
  readonly workload: Workload
  readonly recovery: RecoveryWatch
}

/** Writes are refused, with the reason; and are taken again soon after the queue can be emptied. */
export async function fullQueue(
  { fleet, workload, recovery }: FullQueueParts,
  { durationMs, healed }: { readonly durationMs: number; readonly healed: () => void },
  pause: Pause,
): Promise<void> {
  const by = 'full queue'
  const queue = await FullQueue.fill(fleet.adminUrl)
  await Promise.all(fleet.members.map((member) => workload.writeOnce(by, member)))
  await pause(durationMs)
  await queue.release()
  healed()
  await untilWritable(by, { fleet, workload, recovery })
}
