import { shortValue } from '../entry-value.js'
import type { History, WriteRecord } from './history.js'

export interface TokenRead {
  readonly key: string
  readonly value: string | null
  /** Marked stale. */
  readonly stale: boolean
  readonly returnMs: number
  /** The write that the token came from, or the last one that this sidecar had acknowledged. */
  readonly since: WriteRecord
  readonly how: 'with the token of' | 'at the sidecar that had acknowledged'
}

/**
 * Read your writes: with the token of a write a client sees that write or a later one, at any sidecar, also
 * where the answer is marked stale. What it must not see: a value that had certainly taken effect before the
 * write was called; and one that it wrote itself before that, which was kept and is shown from where it is kept.
 *
 * A write of an earlier history promises nothing in this one.
 *
 * Without a token the same holds at the sidecar that acknowledged the write, as long as nothing is marked stale.
 */
export function checkSession(history: History, read: TokenRead): string | undefined {
  const { key, value, returnMs, since, how } = read
  if (since.invokeMs < history.beganMs) return undefined
  const told = `${how} ${shortValue(since.value)} a client was shown ${shortValue(value)}`
  if (value === null) {
    const mayBeAbsent = history
      .absences(key, returnMs)
      .some((one) => one.effectByMs >= since.invokeMs && !isOwnKept(one, read))
    return mayBeAbsent ? undefined : `${told}: nobody deleted it since`
  }
  if (value === since.value) return undefined
  const seen = history.find(key, value)
  // Another checker reports it: no client wrote this value.
  if (seen === undefined) return undefined
  if (isOwnKept(seen, read)) return `${told}, its own write that was kept before that`
  return seen.effectByMs < since.invokeMs ? `${told}, which had been written before that` : undefined
}

function isOwnKept(write: WriteRecord, { stale, since }: TokenRead): boolean {
  return stale && write.outcome === 'kept' && write.by === since.by && write.invokeMs < since.invokeMs
}
