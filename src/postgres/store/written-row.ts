import type { Epoch, Version } from '../../core/entry.js'
import type { RemoveAnswer, WriteAnswer } from '../../core/ports.js'

interface RowIdentity {
  readonly key: string
  readonly epoch: Epoch
}

/** Row that was deleted. */
export interface RemovedRow extends RowIdentity {
  /** Version of its absence; null if the row had expired, so that there was no entry. */
  readonly version: Version | null
  /** True if no trigger or rule but our own took part. */
  readonly is_as_sent: boolean
  readonly are_leased: boolean
  readonly left_in: readonly string[] | null
}

/** Row that was inserted or updated. */
export interface StoredRow extends RowIdentity {
  readonly version: Version
  readonly remaining_ms: number | null
  readonly is_as_sent: boolean
}

/** Row without a key, which is returned if no entry was found, and has the epoch. */
export interface NothingRow {
  readonly key: null
  readonly epoch: Epoch
  readonly are_leased: boolean
  /**
   * Keys whose entries were there at the beginning of the statement, and were not deleted by it: another client has
   * deleted them meanwhile, or a trigger keeps them. Null if there are none.
   */
  readonly left_in: readonly string[] | null
}

export function writeAnswersOf(rows: readonly StoredRow[]): Map<string, WriteAnswer> {
  const answers = new Map<string, WriteAnswer>()
  for (const { key, version, epoch, remaining_ms, is_as_sent: isAsSent } of rows)
    answers.set(key, { version, epoch, remainingMs: remaining_ms ?? undefined, isAsSent })
  return answers
}

/** Returns an answer for each key. `rows` are those that were deleted, or the row without a key. */
export function removalsOf(
  keys: readonly string[],
  rows: readonly (RemovedRow | NothingRow)[],
): Map<string, RemoveAnswer> {
  const { epoch, left_in } = rows[0] as NothingRow | RemovedRow
  const answers = new Map<string, RemoveAnswer>()
  for (const key of keys) answers.set(key, { version: undefined, epoch })
  for (const key of left_in ?? []) answers.set(key, { version: undefined, epoch, isLeftIn: true })
  for (const row of rows)
    if (row.key !== null && row.version !== null)
      answers.set(row.key, { version: row.version, epoch, isAsSent: row.is_as_sent })
  return answers
}
