import { shortKey, shortValue } from '../entry-value.js'
import type { History, Outcome } from './history.js'
import type { Spell } from './spell.js'

/** End of a process that may have pending writes. */
export interface KeeperEnd {
  /** Killed, and what it had kept with it. */
  readonly killed: boolean
  readonly conflicts: number
}

/** A key that one client writes once, and that nobody reads before the end of the run. */
export interface OnceWritten {
  readonly key: string
  readonly value: string
  readonly via: string
  readonly invokeMs: number
  readonly returnMs: number
  readonly outcome: Outcome
}

/** Time from the moment when a standby lost contact until it took over: what was acknowledged in between is void. */
export interface LostTail {
  readonly fromMs: number
  readonly toMs: number
}

export interface DurabilityInput {
  readonly history: History
  readonly once: readonly OnceWritten[]
  /** Contents of the database at the end. */
  readonly stored: ReadonlyMap<string, string>
  readonly keepers: ReadonlyMap<string, KeeperEnd>
  /** Last moment at which the whole table may have been emptied; -Infinity for never. */
  readonly truncatedByMs: number
  readonly lostTails: readonly LostTail[]
  /** Times in which rows were given a time to live that their clients did not ask for. */
  readonly lifetimes: readonly Spell[]
}

export interface DurabilityResult {
  /** Number of acknowledged writes of keys that are written once. */
  readonly onceAcknowledged: number
  readonly onceKept: number
  readonly keptLostWithSidecar: number
  readonly pendingConflicts: number
  readonly violations: readonly string[]
}

/**
 * Nothing lost: every acknowledged write is in the database, or was overwritten by one that took effect
 * later or may have; every pending write too, or it was counted as a conflict by the sidecar that kept it, or that
 * sidecar was killed. A write that was said to have failed is not there.
 *
 * Nobody promises anything for what was written while a tail was being lost; nor for what was kept before, which may
 * have been sent in that time, and is a conflict afterwards. A row that was given a time to live is removed some time
 * after its end.
 */
export function checkDurability(input: DurabilityInput): DurabilityResult {
  const { history, once, stored, keepers, truncatedByMs, lostTails, lifetimes } = input
  const isLost = ({ invokeMs, returnMs }: { invokeMs: number; returnMs: number }) =>
    lostTails.some(({ fromMs, toMs }) => invokeMs <= toMs && returnMs >= fromMs)
  const mayHaveExpired = ({ invokeMs, returnMs, outcome }: OnceWritten) => {
    const effectByMs = outcome === 'ok' ? returnMs : Number.POSITIVE_INFINITY
    return lifetimes.some((spell) => spell.covers(invokeMs, effectByMs) !== 'no')
  }
  const violations: string[] = []
  let onceAcknowledged = 0
  let onceKept = 0
  let lostWithSidecar = 0
  /** Pending writes that are nowhere, by their sidecar. */
  const missing = new Map<string, string[]>()
  const miss = (via: string, what: string) => {
    if (keepers.get(via)?.killed) lostWithSidecar++
    else missing.set(via, [...(missing.get(via) ?? []), what])
  }

  for (const key of history.keys) {
    const value = stored.get(key) ?? null
    const writes = history.writes(key)
    for (const record of writes) {
      if (record.outcome !== 'kept' || record.invokeMs <= history.beganMs) continue
      const isThere = record.value === value || Number.isFinite(record.overwrittenMs)
      // Not by the other's return: a write of unknown outcome, or a kept one, takes effect after that.
      const mayBeOverwritten = writes.some((other) => other !== record && other.effectByMs > record.invokeMs)
      if (!isThere && !mayBeOverwritten)
        miss(record.via, `${shortKey(key)} = ${shortValue(record.value)} (it ends as ${shortValue(value)})`)
    }
    const holders =
      value === null ? history.absences(key, Number.POSITIVE_INFINITY) : [history.find(key, value)]
    if (holders.some((holder) => holder?.overwrittenMs === Number.POSITIVE_INFINITY)) continue
    const by = holders.map((holder) => holder?.overwrittenBy).find((one) => one !== undefined)
    violations.push(
      `${shortKey(key)} ends as ${shortValue(value)}` +
        (by
          ? `; ${shortValue(by.value)} (${by.by}), acknowledged after that, is lost`
          : ', which nobody wrote'),
    )
  }

  for (const one of once) {
    const { key, value, via, invokeMs, outcome } = one
    const present = stored.get(key)
    const isTruncated = invokeMs <= truncatedByMs
    if (outcome === 'ok') onceAcknowledged++
    if (outcome === 'kept') onceKept++
    if (present !== undefined) {
      if (present !== value) violations.push(`${key} holds ${shortValue(present)}, which nobody wrote`)
      else if (outcome === 'failed')
        violations.push(`${key} is there, though its write was said to have failed`)
    } else if (mayHaveExpired(one)) {
      // It was removed.
    } else if (outcome === 'ok' && !isTruncated && !isLost(one)) {
      violations.push(`${key} was acknowledged and is not there (${via})`)
    } else if (outcome === 'kept' && !isTruncated && invokeMs > history.beganMs) miss(via, key)
  }

  for (const [via, what] of missing) {
    const conflicts = keepers.get(via)?.conflicts ?? 0
    if (what.length <= conflicts) continue
    violations.push(
      `${what.length} writes kept by ${via} are nowhere, and it counted ${conflicts} conflicts: ${what.slice(0, 5).join(', ')}`,
    )
  }
  const pendingConflicts = [...keepers.values()].reduce((sum, { conflicts }) => sum + conflicts, 0)
  return { onceAcknowledged, onceKept, keptLostWithSidecar: lostWithSidecar, pendingConflicts, violations }
}
