import { shortValue } from '../entry-value.js'
import type { History } from './history.js'

export interface PrimaryRead {
  readonly key: string
  readonly value: string | null
  readonly invokeMs: number
}

/**
 * Checks that no pending write overwrites a later one. A pending write is sent only if its row has not changed since it
 * was kept (P9). Suppose that another write of the key was called after that, and acknowledged. If the pending write
 * was sent before the other one, it has been overwritten, and after the other one it must not be sent. So in both cases
 * the primary does not hold it. An exception is a key that may have been deleted or may have expired in between: the
 * pending write may then be sent.
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
