import { Random } from '../../support/random.js'
import type { Timing } from './fault-timing.js'

/** Faults of the network and of processes, one at a time. */
const breakdowns = [
  'reset',
  'refused',
  'half-open',
  'half-open listener',
  'half-open listener',
  'blackout',
  'never answered',
  'slow',
  'slow pool',
  'answers vanish',
  'requests vanish',
  'stall',
  'late answers',
  'late news, then none',
  'cut',
  'freeze',
  'freeze',
  'freeze in a drain',
  'sidecar killed',
  'sidecar killed in a drain',
  'sidecar restarted',
  'server crash',
  'server crash',
  'server restart',
  'deaf listener',
  'idle sessions ended',
  'full queue',
  'failover',
] as const

/** Actions of other clients of the database. */
const disturbances = [
  'listeners terminated',
  'all terminated',
  'row locked',
  'bulk update',
  'bulk update',
  'truncate',
  'garbage',
  'drains held',
] as const

/** The data behind a version become others, or something else is stored than was sent. */
const replacements = [
  'snapshot put back',
  'database re-created',
  'schema re-created',
  'table re-created',
  'versions handed out again',
  'two live servers',
  'silent changes',
  'own default',
  'own BEFORE trigger',
  'own AFTER trigger',
  'own rule',
] as const

/** Statements are refused, and the server or what stands before it says so in its own way. */
const refusals = [
  'translated messages',
  'read-only server',
  'full disk',
  'rights revoked',
  'row refused',
  'cut before a settling commit',
  'cut after a settling commit',
  'leaked settings',
  'leaked settings',
  'standby behind',
] as const

/** Faults that come first, one at a time, because others would hide mistakes that they show. */
const solitary = ['drains held', 'sidecar killed in a drain', 'slow pool', 'catalogue locked'] as const

/** Tracks of faults; each has its own schedule, and they run concurrently. */
export const tracks = { solitary, breakdowns, disturbances, replacements, refusals } as const
export type Track = keyof typeof tracks

export type FaultKind = (typeof tracks)[Track][number]

export interface PlannedFault extends Timing {
  /** Time since the faults that are not solitary begin; negative for one that is. */
  readonly atMs: number
  readonly kind: FaultKind
  /** Index of the sidecar, where it is one sidecar's fault. */
  readonly target: number
}

export const allKinds: readonly FaultKind[] = [...new Set(Object.values(tracks).flat())]

/** Duration of a fault, in ms; other faults last 0.5 to 8 s: on both sides of the staleness bound. */
const durations: Partial<Readonly<Record<FaultKind, readonly [number, number]>>> = {
  reset: [0, 0],
  'half-open': [0, 0],
  'half-open listener': [0, 0],
  'listeners terminated': [0, 0],
  'all terminated': [0, 0],
  'bulk update': [0, 0],
  truncate: [0, 0],
  garbage: [0, 0],
  'drains held': [6_000, 6_500],
  cut: [500, 2_000],
  freeze: [1_000, 6_000],
  'freeze in a drain': [1_000, 6_000],
  'sidecar killed': [0, 2_000],
  'sidecar killed in a drain': [0, 2_000],
  'sidecar restarted': [0, 500],
  'late answers': [6_000, 10_000],
  'late news, then none': [7_000, 9_000],
  'server crash': [500, 5_000],
  'server restart': [500, 3_000],
  'deaf listener': [5_000, 7_000],
  'full queue': [500, 4_000],
  failover: [2_000, 6_000],
  'row locked': [500, 5_000],
  'snapshot put back': [1_000, 3_000],
  'database re-created': [1_000, 3_000],
  'schema re-created': [1_000, 3_000],
  'table re-created': [1_000, 3_000],
  'versions handed out again': [0, 0],
  'two live servers': [3_000, 6_000],
  'silent changes': [0, 3_000],
  'own default': [1_000, 3_000],
  'own BEFORE trigger': [1_000, 3_000],
  'own AFTER trigger': [1_000, 3_000],
  'own rule': [1_000, 2_000],
  'translated messages': [500, 2_000],
  'read-only server': [500, 3_000],
  'full disk': [500, 3_000],
  'rights revoked': [1_000, 4_000],
  'row refused': [500, 2_000],
  'cut before a settling commit': [800, 2_000],
  'cut after a settling commit': [800, 2_000],
  'leaked settings': [1_000, 5_000],
  'standby behind': [1_000, 8_000],
}

const warmUpMs = 3_000
/** Time in ms for each of the solitary faults. */
const eachSolitaryMs = 8_000
/** Duration of a solitary fault of which nothing else is said. */
const usualSolitaryMs = [0.6 * eachSolitaryMs, 0.8 * eachSolitaryMs] as const
/** Time for all of them. */
export const solitaryMs = solitary.length * eachSolitaryMs

/**
 * The faults of a run, by time. Every kind comes up once before any comes up again; quiet spells are left between.
 * `only`: these kinds.
 */
export function planFaults(
  seed: number,
  runMs: number,
  sidecars: number,
  only: readonly FaultKind[] = allKinds,
): readonly PlannedFault[] {
  const random = new Random(seed)
  const inTurn = <T>(kinds: readonly T[]) => {
    let deck: T[] = []
    return () => {
      if (deck.length === 0) deck = random.shuffled(kinds)
      return deck.pop() as T
    }
  }
  const plan: PlannedFault[] = []
  const lay = (track: Track, firstQuietMs: readonly [number, number], laterQuietMs = firstQuietMs) => {
    const kinds = tracks[track].filter((kind) => only.includes(kind))
    if (kinds.length === 0) return
    const next = inTurn(kinds)
    let atMs = warmUpMs + random.between(0, 2_000)
    for (let laid = 0; ; laid++) {
      const quietMs = laid < kinds.length ? firstQuietMs : laterQuietMs
      const kind = next()
      const durationMs = random.between(...(durations[kind] ?? ([500, 8_000] as const)))
      if (atMs + durationMs > runMs) return
      plan.push({ atMs, kind, target: random.integer(0, sidecars - 1), durationMs, choice: random.next() })
      // Now and then long enough for everything to settle.
      atMs += durationMs + random.between(...quietMs) + (random.chance(0.15) ? 4_000 : 0)
    }
  }
  lay('breakdowns', [700, 4_000])
  lay('disturbances', [3_000, 12_000])
  // Each once in a short run; in a long one they must not keep the others from being measured.
  lay('replacements', [3_000, 7_000], [10_000, 25_000])
  lay('refusals', [4_000, 9_000], [8_000, 18_000])
  for (const [index, kind] of solitary.entries())
    if (only.includes(kind))
      plan.push({
        atMs: index * eachSolitaryMs - solitaryMs,
        kind,
        target: kind === 'sidecar killed in a drain' ? 1 : 0,
        durationMs: random.between(...(durations[kind] ?? usualSolitaryMs)),
        choice: random.between(0.3, 0.8),
      })
  return plan.sort((one, other) => one.atMs - other.atMs)
}

/** Those of one track. */
export function faultsOf(track: Track, plan: readonly PlannedFault[]): readonly PlannedFault[] {
  return plan.filter(
    ({ kind, atMs }) =>
      (tracks[track] as readonly FaultKind[]).includes(kind) && (track === 'solitary') === atMs < 0,
  )
}
