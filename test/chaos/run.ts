import { setTimeout as sleep } from 'node:timers/promises'
import { boundRows } from './bound/bound-tables.js'
import { BoundWorkload } from './bound/bound-workload.js'
import { Faults } from './faults/faults.js'
import { RecoveryWatch } from './faults/recovery.js'
import {
  allKinds,
  type FaultKind,
  faultsOf,
  planFaults,
  solitaryMs,
  type Track,
  tracks,
} from './faults/schedule.js'
import { finalChecks, untilSettled } from './final-checks.js'
import { Fleet } from './fleet/fleet.js'
import { Observer } from './fleet/observer.js'
import { SqlClient } from './fleet/sql-client.js'
import { NearCaches } from './near/near-caches.js'
import { NearWorkload } from './near/near-workload.js'
import { Recorder } from './oracle/recorder.js'
import { promises, Violations } from './oracle/violations.js'
import { Progress } from './progress.js'
import type { Result } from './report.js'
import { keys, Workload } from './workload.js'

export interface RunOptions {
  readonly seed: number
  readonly minutes: number
  readonly sidecars: number
  readonly maxStalenessMs: number
  /** Time by which a recovery, and half of it by which a response, may be late: the machine may be busy with other things. */
  readonly allowanceMs: number
  readonly faults: readonly FaultKind[]
  /** The built command. */
  readonly program: string
  /** The built client; undefined for the one of the sources. */
  readonly client: string | undefined
  /** The line that runs the same again. */
  readonly replay: string
  /** Aborted to end early: what there is by then is checked and reported. */
  readonly stop: AbortSignal
}

/**
 * Shortest run, in minutes, in which default reads must fail the check for strong reads. If they pass, the checker does
 * not work.
 */
const longEnoughMinutes = 0.9
const forgetEveryMs = 10_000
/**
 * Time in ms before the first fault. Faults hide that a change was not announced, because sidecars compare all entries
 * after most of them.
 */
const calmMs = 10_000
/** Number of sidecars that covers all variants of their settings. */
const kindsOfSidecars = 3
/** Number of kinds of statements on bound tables that must succeed. */
const kindsOfStatements = 20

/** One run: everything is started, broken, healed, checked and ended. */
export async function run(options: RunOptions): Promise<Result> {
  const { sidecars, maxStalenessMs, program, stop } = options
  const violations = new Violations(({ promise, text }) =>
    process.stderr.write(`\nVIOLATION  ${promise}: ${text}\n`),
  )
  const fleet = await Fleet.create({
    sidecars,
    maxStalenessMs,
    program,
    onUnexpectedEnd: (text) => {
      if (!stop.aborted) violations.add({ promise: 'answers', text, around: [] })
    },
  })
  try {
    for (const { sidecar } of fleet.members) await sidecar.start()
    return await runOn(fleet, violations, options)
  } finally {
    await fleet.close()
  }
}

async function runOn(fleet: Fleet, violations: Violations, options: RunOptions): Promise<Result> {
  const { seed, minutes, sidecars, maxStalenessMs, allowanceMs, stop, replay } = options
  const runMs = minutes * 60_000
  const beforeMs = calmMs + solitaryMs
  const recorderOf = (keys: readonly string[]): Recorder =>
    new Recorder({
      keys,
      maxStalenessMs,
      // A request ends in time or never: half of what recoveries get tells that apart.
      allowanceMs: allowanceMs / 2,
      violations,
      situation: () => faults.describe(),
      frozenMs: (via, fromMs, toMs) => {
        const member = fleet.members.find(({ sidecar }) => via.startsWith(`${sidecar.name}.`))
        return member?.sidecar.frozenMs(fromMs, toMs) ?? 0
      },
    })
  const recorder = recorderOf(keys)
  const observer = new Observer(fleet.members, recorder.history, ({ sidecar, capacity }, size) => {
    const text = `${recorder.clock()}: ${sidecar.via} holds ${size} entries, and may hold ${capacity}`
    violations.add({ promise: 'answers', text, around: [] })
  })
  const recovery = new RecoveryWatch({
    maxStalenessMs,
    allowanceMs,
    onTooLate: ({ sidecar }, what) => {
      const text = `${recorder.clock()}: ${sidecar.via} ${what}`
      violations.add({ promise: 'recovery', text, around: sidecar.log.slice(-10) })
    },
  })
  const sql = new SqlClient(fleet.databaseUrl)
  const isDuringFault = () => faults.areUnderWay
  const workload: Workload = new Workload({ fleet, sql, recorder, seed, isDuringFault })
  const bound: BoundWorkload = new BoundWorkload({
    fleet,
    sql,
    recorder: recorderOf(boundRows.map(({ key }) => key)),
    seed,
    maxStalenessMs,
    isDuringFault,
  })
  const nearCaches = await NearCaches.create({ fleet, seed, program: options.client })
  const nearWorkload = new NearWorkload({ nearCaches, recorder, bound, seed, isDuringFault })
  const faults: Faults = new Faults({
    fleet,
    sql,
    observer,
    recorder,
    recovery,
    workload,
    bound,
    violations,
    maxStalenessMs,
    stop,
  })
  const startMs = performance.now()
  const residentAtStart = process.memoryUsage.rss()
  const progress = new Progress(() => ({
    share: Math.min(1, (performance.now() - startMs) / (beforeMs + runMs)),
    text: `${recorder.freshReads + bound.recorder.freshReads} reads checked, ${violations.total} violations; ${faults.describe()}`,
  }))
  const forgetting = setInterval(() => {
    for (const { history } of [recorder, bound.recorder]) history.forget(performance.now())
  }, forgetEveryMs)
  try {
    await bound.setUp()
    await untilSettled(fleet, observer)
    observer.start()
    workload.start()
    bound.start()
    nearWorkload.start()
    progress.start()
    const plan = planFaults(seed, runMs, sidecars, options.faults)
    const faultsFromMs = startMs + beforeMs
    const endMs = faultsFromMs + runMs
    await Promise.all([
      ...(Object.keys(tracks) as Track[]).map((track) =>
        faults.run(faultsOf(track, plan), faultsFromMs, endMs),
      ),
      sleep(beforeMs + runMs, undefined, { signal: stop }).catch(() => undefined),
    ])
    const { durability, converged } = await finalChecks({
      fleet,
      sql,
      workload,
      bound,
      nearCaches,
      nearWorkload,
      faults,
      observer,
      recorder,
      violations,
      maxStalenessMs,
    })
    await recovery.settled()
    const isUsual = options.faults.length === allKinds.length && minutes >= longEnoughMinutes
    if (isUsual && !stop.aborted && recorder.keysNotLinearizable === 0) {
      const text = 'default reads passed as strong ones through all these faults: the checker does not bite'
      violations.add({ promise: 'strong reads linearizable', text, around: [] })
    }
    const exercised = {
      evictions: observer.sum(({ evictions }) => evictions),
      replicaFills: observer.sum(({ replica }) => replica?.fills ?? 0),
      expiring: recorder.counts.expiring,
      increments: recorder.increments.counts.ok,
      incrementsRefused: recorder.increments.counts.unmet,
      pairs: recorder.pairs.compared,
      boundHits: bound.recorder.counts.hits,
      boundAbsentHits: bound.recorder.counts.absentHits,
      boundStrongReads: bound.recorder.counts.reads.strong,
      drainsBroken: faults.drainsBroken,
      nearHits: nearWorkload.figures.hits,
      nearRowHits: nearWorkload.figures.rowHits,
      nearSessions: nearWorkload.figures.sessions,
    }
    if (isUsual && !stop.aborted && sidecars >= kindsOfSidecars) {
      for (const [what, count] of Object.entries(exercised))
        if (count === 0)
          violations.add({ promise: 'answers', text: `nothing was checked of this: ${what}`, around: [] })
      if (bound.done.size < kindsOfStatements)
        violations.add({
          promise: 'answers',
          text: `of the statements that change bound tables, only these succeeded: ${[...bound.done.keys()].join(', ')}`,
          around: [],
        })
    }
    const { staleness, counts, undecided, keysNotLinearizable, longestMs } = recorder
    return {
      seed,
      minutes: (performance.now() - startMs) / 60_000,
      sidecars,
      maxStalenessMs,
      interrupted: stop.aborted,
      counts,
      readsChecked: staleness.checked,
      stalenessMs: {
        p50: staleness.percentile(0.5),
        p99: staleness.percentile(0.99),
        max: staleness.maxMs,
      },
      keys: keys.length,
      undecided,
      defaultReadsNotLinearizable: keysNotLinearizable,
      bound: {
        counts: bound.recorder.counts,
        readsChecked: bound.recorder.staleness.checked,
        maxStalenessMs: bound.recorder.staleness.maxMs,
        undecided: bound.recorder.undecided,
        statements: Object.fromEntries([...bound.done].sort()),
      },
      near: nearWorkload.figures,
      durability,
      converged,
      longestRequestMs: longestMs,
      faults: faults.counts,
      recovered: recovery.recovered,
      repaired: {
        revalidations: observer.sum(({ feed }) => feed.revalidations),
        drops: observer.sum(({ feed }) => feed.revalidation_drops),
        flushes: observer.sum(({ feed }) => feed.flushes),
        entriesFlushed: observer.entriesFlushed,
      },
      residentBytes: { atStart: residentAtStart, atEnd: process.memoryUsage.rss() },
      exercised,
      network: fleet.network,
      violations: violations.kept,
      violationCounts: Object.fromEntries(
        promises.map((promise) => [promise, violations.count(promise)]),
      ) as Result['violationCounts'],
      replay,
    }
  } finally {
    clearInterval(forgetting)
    progress.stop()
    await observer.stop()
    await Promise.all([workload.stop(), bound.stop(), nearWorkload.stop()])
    await nearCaches.close()
    await sql.close()
  }
}
