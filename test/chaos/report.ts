import { textTable } from '../../src/text/text-table.js'
import type { ProxyCounts } from '../support/fault-proxy.js'
import type { Recovered } from './faults/recovery.js'
import type { FaultKind } from './faults/schedule.js'
import type { NearFigures } from './near/near-workload.js'
import type { DurabilityResult } from './oracle/durability.js'
import type { Counts } from './oracle/recorder.js'
import { type Promised, promises, type Violation } from './oracle/violations.js'

export interface Result {
  readonly seed: number
  readonly minutes: number
  readonly sidecars: number
  readonly maxStalenessMs: number
  /** Ended early, by a signal. */
  readonly interrupted: boolean
  readonly counts: Counts
  readonly readsChecked: number
  readonly stalenessMs: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly keys: number
  readonly undecided: number
  /** Keys on which default reads, taken for strong ones, have no order. */
  readonly defaultReadsNotLinearizable: number
  readonly durability: DurabilityResult | undefined
  readonly converged: number
  readonly longestRequestMs: number
  readonly faults: ReadonlyMap<FaultKind, number>
  readonly recovered: readonly Recovered[]
  readonly repaired: {
    readonly revalidations: number
    readonly drops: number
    readonly flushes: number
    readonly entriesFlushed: number
  }
  /** Entries that made room for others, fills from a standby, and rows written with a time of their own. */
  readonly exercised: {
    readonly evictions: number
    readonly replicaFills: number
    readonly expiring: number
    /** Increments with If-Match that were acknowledged, and those that came too late. */
    readonly increments: number
    readonly incrementsRefused: number
    /** Strong reads that saw both entries of a pair. */
    readonly pairs: number
    readonly boundHits: number
    readonly boundAbsentHits: number
    readonly boundStrongReads: number
    readonly nearHits: number
    readonly nearRowHits: number
    readonly nearSessions: number
  }
  /** Reads of rows of bound tables, and the transactions that were acknowledged, by kind. */
  readonly bound: {
    readonly counts: Counts
    readonly readsChecked: number
    readonly maxStalenessMs: number
    readonly undecided: number
    readonly statements: Readonly<Record<string, number>>
  }
  /** Reads by clients with near caches, of entries and of rows of bound tables. */
  readonly near: NearFigures
  /** Resident memory of this process, which must not grow with the length of the run. */
  readonly residentBytes: { readonly atStart: number; readonly atEnd: number }
  readonly network: ProxyCounts
  readonly violations: readonly Violation[]
  readonly violationCounts: Readonly<Record<Promised, number>>
  readonly replay: string
}

/** Promises about the content of responses. */
const wrong: readonly Promised[] = [
  'bounded staleness',
  'strong reads linearizable',
  'sessions read their writes',
  'answers',
]

/** The result for people, with the seed. */
export function tableOf(result: Result): string {
  const { counts, stalenessMs, durability, recovered, violationCounts, repaired, exercised } = result
  const { network, residentBytes } = result
  const share = (part: number, whole: number) =>
    whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`
  const { reads, writes } = counts
  const detail: Readonly<Record<Promised, string>> = {
    'bounded staleness': `${result.readsChecked} fresh reads; of hits p50 ${stalenessMs.p50}, p99 ${stalenessMs.p99}, max ${Math.round(stalenessMs.max)} ms; L ${result.maxStalenessMs} ms`,
    'strong reads linearizable': `${reads.strong} strong reads, ${reads.sql} SQL reads, ${writes.ok + writes.nothing} writes; undecided ${result.undecided}`,
    'sessions read their writes': `${reads.session} reads with a token`,
    'nothing lost': durability
      ? `${writes.ok + durability.onceAcknowledged} acknowledged; ${writes.kept + durability.onceKept} kept, ${durability.pendingConflicts} conflicts, ${durability.keptLostWithSidecar} ended with their sidecar`
      : 'not checked',
    convergence: `${result.converged} reads after the last fault`,
    answers: `longest request ${Math.round(result.longestRequestMs)} ms; no 500, nothing that nobody wrote`,
    recovery: `${recovered.filter(({ recoveredMs }) => recoveredMs !== undefined).length} times lost and back, ${recovered.filter(({ isLate }) => isLate).length} of them late`,
  }
  const rows = promises.map((promise) => [promise, String(violationCounts[promise]), detail[promise]])
  const kinds = [...result.faults].sort(([one], [other]) => one.localeCompare(other))
  const faultRows = kinds.map(([kind, count]) => {
    const times = recovered.filter((one) => one.kind === kind)
    const ms = (pick: (one: Recovered) => number | undefined) =>
      spread(times.map(pick).filter((one) => one !== undefined))
    const disturbed = times.filter(({ isDisturbed }) => isDisturbed).length
    const unhurt = times.filter(
      ({ recoveredMs, isDisturbed }) => recoveredMs === undefined && !isDisturbed,
    ).length
    return [
      kind,
      String(count),
      ms((one) => one.noticedMs),
      ms((one) => one.recoveredMs),
      String(times.filter(({ isLate }) => isLate).length || ''),
      String(unhurt || ''),
      String(disturbed || ''),
    ]
  })
  const seconds = `${result.minutes.toFixed(1)} min${result.interrupted ? ' (interrupted)' : ''}`
  return [
    `chaos: seed ${result.seed}, ${seconds}, ${result.sidecars} sidecars, ${result.near.caches} near caches`,
    '',
    ...textTable([['promise', 'violations', 'checked'], ...rows]),
    '',
    ...textTable([
      ['fault', 'times', 'noticed, ms', 'back after its end, ms', 'late', 'feed kept', 'not measured'],
      ...faultRows,
    ]),
    '',
    `wrong      ${wrong.reduce((sum, promise) => sum + violationCounts[promise], 0)} answers`,
    `reads      ${reads.default + reads.strong + reads.session + reads.sql} answered, ${Math.round(result.readsChecked / (60 * result.minutes))} checked a second; hit rate ${share(counts.hits, counts.defaultReads)}, during faults ${share(counts.hitsDuringFaults, counts.defaultReadsDuringFaults)}; ${counts.absentHits} hits of absent keys; ${counts.staleMarked} marked stale, ${counts.refused} refused, ${counts.lost} lost`,
    `writes     ${Object.entries(writes)
      .map(([outcome, count]) => `${count} ${outcome}`)
      .join(
        ', ',
      )}; ${counts.queueFull} of them refused for a full notification queue; ${counts.denied} requests denied for good`,
    `network    ${network.accepted} connections, ${network.reset} reset, ${network.refused} refused, ${network.ignored} never answered; ${network.bytesToServer + network.bytesToClient} bytes, ${network.bytesDropped} vanished; ${network.commitsCut} commits of pending writes cut`,
    `repaired   ${repaired.drops} entries dropped by ${repaired.revalidations} revalidations; ${repaired.entriesFlushed} by ${repaired.flushes} flushes`,
    `entries    ${exercised.evictions} evicted, ${exercised.replicaFills} filled from a standby; ${exercised.expiring} rows written with an end of their own; ${exercised.increments} increments of a counter, ${exercised.incrementsRefused} refused because another one was first; ${exercised.pairs} reads of a pair that is written in one transaction`,
    boundLineOf(result),
    nearLineOf(result),
    `memory     ${megabytes(residentBytes.atStart)} MB resident at the start, ${megabytes(residentBytes.atEnd)} MB at the end`,
    `default reads: ${result.defaultReadsNotLinearizable > 0 ? 'not linearizable, as expected' : 'linearizable'} (${result.defaultReadsNotLinearizable} of ${result.keys} keys)`,
    ...result.violations.flatMap(({ promise, text, around }) => [
      '',
      `VIOLATION  ${promise}: ${text}`,
      ...around.map((line) => `    ${line}`),
    ]),
    '',
    result.violations.length === 0 ? 'no violation' : `replay:  ${result.replay}`,
  ].join('\n')
}

function boundLineOf({ bound, exercised }: Result): string {
  const { counts, readsChecked, maxStalenessMs, undecided, statements } = bound
  const total = Object.values(statements).reduce((sum, count) => sum + count, 0)
  return `bound      ${total} transactions of ${Object.keys(statements).length} kinds; ${readsChecked} fresh reads, ${exercised.boundHits} hits (max ${Math.round(maxStalenessMs)} ms), ${exercised.boundAbsentHits} of absent rows; ${exercised.boundStrongReads} strong, undecided ${undecided}; ${counts.refused} refused`
}

function nearLineOf({ near }: Result): string {
  const { caches, readsChecked, hits, absentHits, rowHits, maxStalenessMs, sessions, connections } = near
  return `near       ${caches} caches; ${readsChecked} fresh reads, ${hits} hits (max ${Math.round(maxStalenessMs)} ms), ${absentHits} of absent keys, ${rowHits} of rows; ${sessions} reads of own writes; ${connections} connections`
}

function megabytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0)
}

/** Median and maximum. */
function spread(times: readonly number[]): string {
  const sorted = [...times].sort((one, other) => one - other)
  const median = sorted[Math.floor((sorted.length - 1) / 2)]
  const max = sorted.at(-1)
  if (median === undefined || max === undefined) return ''
  return sorted.length === 1 ? `${Math.round(max)}` : `${Math.round(median)}, at most ${Math.round(max)}`
}
