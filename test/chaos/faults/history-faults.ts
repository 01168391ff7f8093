import { storedRows } from '../bound/bound-tables.js'
import type { BoundWorkload } from '../bound/bound-workload.js'
import type { Fleet } from '../fleet/fleet.js'
import { SqlClient } from '../fleet/sql-client.js'
import type { LostTail } from '../oracle/durability.js'
import type { Recorder } from '../oracle/recorder.js'
import type { Workload } from '../workload.js'
import { ClusterCopy } from './cluster-copy.js'
import type { Pause, Timing } from './fault-timing.js'
import type { FaultKind, PlannedFault } from './schedule.js'

export interface HistoryFaultParts {
  readonly fleet: Fleet
  readonly recorder: Recorder
  readonly workload: Workload
  readonly bound: BoundWorkload
}

/**
 * Restores a snapshot of the file system, on the same server and the same timeline. Writes that were acknowledged after
 * the snapshot are lost, and others happen before a sidecar is connected again. The first of them repeats the first
 * write after the snapshot.
 */
export async function putSnapshotBack(
  { fleet, recorder, workload, bound }: HistoryFaultParts,
  { durationMs, choice }: Timing,
  pause: Pause,
): Promise<LostTail> {
  const fromMs = performance.now()
  const copy = await fleet.alone(async () => {
    const made = await ClusterCopy.ofStopped(fleet.postgres)
    await directly(fleet, (sql) => workload.fill(sql))
    return made
  })
  await pause(durationMs)
  // In the restored history it would be ahead, which could not be recognised.
  await fleet.standby.stop()
  const lostTail = await fleet.alone(async () => {
    await fleet.postgres.stop('immediate')
    await copy.takePlace(fleet.postgres, 'primary')
    recorder.beginAnew(await fleet.stored())
    bound.recorder.beginAnew(await storedRows(fleet))
    const toMs = performance.now()
    // Few, so that the sequence stays behind, or so many that it has caught up.
    const fills = choice < 0.5 ? 1 : 12
    await directly(fleet, async (sql) => {
      for (let made = 0; made < fills; made++) await workload.fill(sql)
    })
    await pause(500 * choice)
    return { fromMs, toMs }
  })
  await fleet.standby.rebuild()
  return lostTail
}

/** Statements that remove the object and create an empty one. */
const removals: Partial<Record<FaultKind, readonly string[]>> = {
  'schema re-created': ['drop schema public, shop cascade', 'create schema public'],
  'table re-created': ['drop table cache_entries'],
}

/**
 * Everything is removed, made again and filled by the same script with other values, twice, as a suite of tests does
 * it; while sidecars are there, or before they are back.
 */
export async function recreate(
  parts: HistoryFaultParts,
  { kind, durationMs, choice }: PlannedFault,
  pause: Pause,
): Promise<LostTail> {
  const { fleet, workload, bound } = parts
  const once = async () => {
    await remove(parts, kind)
    await fleet.migrate()
    if (kind !== 'table re-created') await directly(fleet, (sql) => bound.setUp(sql))
    await directly(fleet, (sql) => workload.fill(sql))
  }
  await once()
  await pause(durationMs)
  await (choice < 0.5 ? fleet.alone(once) : once())
  return { fromMs: Number.NEGATIVE_INFINITY, toMs: performance.now() }
}

/** Versions are handed out a second time, under a live fleet. */
export async function handOutAgain(
  { workload }: HistoryFaultParts,
  { choice }: Timing,
  pause: Pause,
): Promise<undefined> {
  for (let time = 0; time < 3; time++) {
    await workload.handOutAgain(choice < 0.5)
    await pause(retryMs)
  }
}

const attempts = 20
const retryMs = 100

async function remove({ fleet, recorder, bound }: HistoryFaultParts, kind: FaultKind): Promise<void> {
  const onRemoved = () => {
    recorder.beginAnew(new Map())
    // The bindings and their tables are still there if only the entries are gone.
    if (kind !== 'table re-created') bound.recorder.beginAnew(new Map())
  }
  for (let attempt = 1; ; attempt++) {
    try {
      await fleet.rollBackPrepared()
      const statements = removals[kind]
      if (statements === undefined) return await fleet.recreateDatabase(onRemoved)
      return await fleet.asOwner(async (client) => {
        await client.query('begin')
        // Otherwise PostgreSQL would end this transaction, and not a writer that waits for it.
        await client.query(`set local deadlock_timeout = '1min'; set local lock_timeout = '${attempt}s'`)
        for (const sql of statements) await client.query(sql)
        // Nobody can read or write until this is committed, and then there is nothing.
        onRemoved()
        await client.query('commit')
      })
    } catch (error) {
      // Somebody has a row locked for longer, or connects at this moment.
      if (attempt === attempts) throw error
      await new Promise((resolve) => setTimeout(resolve, retryMs))
    }
  }
}

/** Runs work as a client that is not kept away. */
async function directly(fleet: Fleet, work: (sql: SqlClient) => Promise<unknown>): Promise<void> {
  const sql = new SqlClient(fleet.directUrl)
  try {
    await work(sql)
  } finally {
    await sql.close()
  }
}
