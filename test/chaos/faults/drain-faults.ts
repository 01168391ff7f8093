import { type BoundRow, held } from '../bound/bound-tables.js'
import type { BoundWorkload } from '../bound/bound-workload.js'
import { changeTogether, readRepeatedly } from '../bound/held-rows.js'
import type { Fleet, Member } from '../fleet/fleet.js'
import type { Recorder } from '../oracle/recorder.js'
import type { Pause, Timing } from './fault-timing.js'
import { HeldDrain } from './held-drain.js'

export interface DrainFaultParts {
  readonly fleet: Fleet
  readonly bound: BoundWorkload
  readonly recorder: Recorder
  readonly maxStalenessMs: number
}

const half = held.rows.length / 2
const early = held.rows.slice(0, half)
const late = held.rows.slice(half)
/** Attempts to delete rows of the outbox before a sidecar does, or to be in front of a certain sidecar's drain. */
const attempts = 20
const reading = { everyMs: 100, limitMs: 2_000 }
const lookEveryMs = 10
const waitForDrainMs = 1_500
/** Number of reads of which some are hits. */
const enoughReads = 20
/** Time in ms that the last response from memory may take to arrive here. */
const marginMs = 500

/**
 * Two drains, each of which does not end for a while. While all sidecars wait for the first, rows change, and the second
 * deletes these from the outbox. When the first has ended, a sidecar knows of changes up to the moment at which its own
 * drain was sent, and not of those.
 *
 * Returns how often an ordinary entry was served from memory after the leases of bound keys had run out, or undefined if
 * too few were read for that to say something.
 */
export async function drainsHeld(
  parts: DrainFaultParts,
  { choice }: Timing,
  pause: Pause,
): Promise<number | undefined> {
  const { fleet, bound, recorder, maxStalenessMs } = parts
  const reads = readRepeatedly(bound.access, held.rows, reading)
  let first: HeldDrain | undefined
  let second: HeldDrain | undefined
  try {
    await reads.inMemory
    first = await holdBack(parts, early)
    const beganMs = performance.now()
    const until = (ms: number) => pause(beganMs + ms - performance.now())
    // What changes after a drain was sent is not announced by it.
    if (first) await waitingFor(first, { count: fleet.members.length, limitMs: 0.3 * maxStalenessMs })
    second = await holdBack(parts, late)
    const heldMs = performance.now() - beganMs
    // Early enough for the next probe to come before the leases run out, after which the rows would be read anew.
    await until(0.5 * maxStalenessMs)
    await first?.end(choice < 0.5 ? 'commit' : 'rollback')
    first = undefined
    await until(heldMs + maxStalenessMs + marginMs)
    const { hits, defaultReads } = recorder.counts
    await until(2 * maxStalenessMs)
    const isEnough = recorder.counts.defaultReads - defaultReads >= enoughReads
    return second && isEnough ? recorder.counts.hits - hits : undefined
  } finally {
    await first?.end('rollback')
    await second?.end(choice % 0.5 < 0.25 ? 'commit' : 'rollback')
    await reads.stop()
  }
}

/** What happens to a sidecar in the middle of its drain, and what ends that. */
export interface Disturbance {
  readonly disturb: () => Promise<unknown>
  readonly mend: () => Promise<unknown>
}

/**
 * Waits until the drain of this sidecar is the next to delete certain rows of the outbox, calls `disturb`, and lets the
 * drain go on. The rows are read for L after `mend` has been called, which must have resolved then.
 *
 * Returns true if a drain was in the middle.
 */
export async function inDrain(
  parts: DrainFaultParts,
  member: Member,
  { disturb, mend }: Disturbance,
  pause: Pause,
): Promise<boolean> {
  const { bound, maxStalenessMs } = parts
  const reads = readRepeatedly(bound.access, early, reading)
  try {
    await reads.inMemory
    const inFront = await inFrontOf(parts, member)
    await disturb()
    await inFront?.end('rollback')
    await mend()
    await pause(maxStalenessMs + 2 * reading.everyMs)
    return inFront !== undefined
  } finally {
    await reads.stop()
  }
}

async function inFrontOf(parts: DrainFaultParts, { proxy }: Member): Promise<HeldDrain | undefined> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const drain = await holdBack(parts, early)
    if (drain === undefined) return undefined
    const ports = await waitingFor(drain, { count: 1, limitMs: waitForDrainMs })
    const [next] = ports
    if (next !== undefined && proxy.hasClientPort(next)) return drain
    await drain.end('rollback')
  }
  return undefined
}

/** Returns the client's ports of the drains that wait, as soon as there are so many, or after `limitMs`. */
async function waitingFor(
  drain: HeldDrain,
  { count, limitMs }: { readonly count: number; readonly limitMs: number },
): Promise<readonly number[]> {
  const untilMs = performance.now() + limitMs
  for (;;) {
    const ports = await drain.waiting()
    if (ports.length >= count || performance.now() > untilMs) return ports
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  }
}

/** Changes rows, and deletes them from the outbox before a sidecar does. Undefined if that does not succeed. */
async function holdBack(
  { fleet, bound }: DrainFaultParts,
  rows: readonly BoundRow[],
): Promise<HeldDrain | undefined> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (!(await changeTogether(bound.access, rows))) continue
    const drain = await HeldDrain.begin(
      fleet.adminUrl,
      rows.map(({ key }) => key),
    )
    if (drain) return drain
  }
  return undefined
}
