import { shortValue } from '../entry-value.js'
import type { History } from './history.js'

export interface PrimaryRead {
  readonly key: string
  readonly value: string | null
  readonly invokeMs: number
}

/**
 * A pending write is sent only where the row has not changed since it was kept (P9). So the primary does not hold it after
 * another write that was called once it had been kept, and acknowledged: had it been sent before that one, it would have been
 * overwritten, and after that one it must not have been sent. Where the key may have been deleted since, or may have expired,
 * it may have been sent into the gap.
 */
export function checkPendingOverwrites(
  history: History,
  { key, value, invokeMs }: PrimaryRead,
): string | undefined {
  const kept = value === null ? undefined : history.find(key, value)
  if (kept?.outcome !== 'kept') return undefined
  const sinceMs = Math.max(kept.returnMs, history.beganMs)
  const later = history.writes(key).filter((one) => one !== kept && one.effectByMs > sinceMs)
  if (later.some(({ value, outcome }) => value === null || outcome === 'nothing')) return undefined
  const changed = later.find(
    (one) => one.outcome === 'ok' && one.invokeMs > sinceMs && one.returnMs < invokeMs,
  )
  return (
    changed &&
    `${shortValue(value)}, which ${kept.via} had kept, is in the place of ${shortValue(changed.value)} (${changed.by}), ` +
      'which was written after that and acknowledged'
  )
}
