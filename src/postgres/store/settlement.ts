import type { Epoch, Value, Version, Written } from '../../core/entry.js'
import type { Content } from '../../core/media-type.js'
import type { SentWrite, Settlement } from '../../core/ports.js'
import type { SettleNeeds } from './settle-statement.js'
import { toColumns } from './value.js'
import { heldColumns, outcomeOf } from './value-digest.js'

/** Row of a pending write that the statement has written. */
export interface SettledRow {
  readonly key: string
  /** Null for a delete. */
  readonly version: Version | null
  readonly epoch: Epoch
}

/** Row of `writtenBy`. */
export interface WrittenByRow extends Written {
  readonly key: string
  readonly is_written: boolean
}

/** Returns the needs of the writes. The statement must not need more rights than they do. */
export function settleNeeds(writes: readonly SentWrite[]): SettleNeeds {
  return {
    withMarks: writes.some(({ base }) => base.kind === 'unseen' && base.mark !== undefined),
    withDeletes: writes.some(({ value }) => value === undefined),
    withTtl: writes.some(({ ttlMs }) => ttlMs !== undefined),
  }
}

/** Returns the parameters of the statement: one array for each column. */
export function settleParameters(writes: readonly SentWrite[]): unknown[] {
  const columns = writes.map((write) => {
    const content = contentOf(write)
    return content && toColumns(content)
  })
  const unknown = writes.filter(({ outcomes }) => outcomes.length > 0)
  return [
    writes.map(({ key }) => key),
    columns.map((column) => column?.text ?? null),
    columns.map((column) => column?.contentType ?? null),
    writes.map(({ base }) => (base.kind === 'held' ? base.version : null)),
    writes.map(({ epoch }) => epoch ?? null),
    ...heldColumns(writes.map(({ base }) => (base.kind === 'held' ? contentOf(base) : undefined))),
    writes.map(({ base }) => (base.kind === 'unseen' ? (base.mark ?? null) : null)),
    writes.map(({ mayHaveHappened }) => mayHaveHappened),
    unknown.map(({ key }) => key),
    unknown.map(({ outcomes }) => outcomes.flatMap((content) => (content ? outcomeOf(content) : [])).join()),
    unknown.map(({ outcomes }) => outcomes.includes(undefined)),
    writes.map(({ base }) => (base.kind === 'held' ? (base.fingerprint ?? null) : null)),
    writes.map(({ ttlMs }) => ttlMs ?? null),
    writes.map(({ mayHaveExpired }) => mayHaveExpired ?? false),
  ]
}

function contentOf({ value, mediaType }: Pick<SentWrite, 'value' | 'mediaType'>): Content | undefined {
  return value === undefined ? undefined : { value, mediaType }
}

/** Returns the settlements of the writes whose rows the statement has returned. */
export function settlementsOf(rows: readonly SettledRow[]): Map<string, Settlement> {
  return new Map(
    rows.map(({ key, version, epoch }): [string, Settlement] => [
      key,
      { kind: 'written', written: version === null ? undefined : { version, epoch } },
    ]),
  )
}

/** Returns the settlements of writes whose transaction was committed. `rows` are those that exist now. */
export function committedSettlements(
  writes: readonly SentWrite[],
  rows: readonly WrittenByRow[],
): Map<string, Settlement> {
  const found = new Map(rows.map((row) => [row.key, row]))
  return new Map(writes.map(({ key, value }) => [key, settlementOf(value, found.get(key))]))
}

/** Returns the result of a committed write or delete. If another client has written the row since, it is a conflict. */
function settlementOf(value: Value | undefined, row: WrittenByRow | undefined): Settlement {
  if (value === undefined)
    return row === undefined ? { kind: 'written', written: undefined } : { kind: 'conflict' }
  if (!row?.is_written) return { kind: 'conflict' }
  return { kind: 'written', written: { version: row.version, epoch: row.epoch } }
}
