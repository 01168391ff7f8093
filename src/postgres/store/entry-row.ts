import { createHash } from 'node:crypto'
import type { Epoch, StoredEntry, Unchanged, Value, Version, Withheld } from '../../core/entry.js'
import type { Wanted } from '../../core/ports.js'
import { fromColumns, toColumns } from './value.js'

export interface EntryRow {
  readonly key: string
  readonly version: Version
  readonly epoch: Epoch
  /** Null when it is the one that the reader holds, or is withheld. */
  readonly value: string | null
  readonly withheld: Withheld['withheld'] | null
  readonly content_type: string | null
  readonly remaining_ms: number | null
}

/** No row has it. Where nothing is held it stands for null, which a session with `array_nulls = off` cannot read in an array. */
const noVersion = '0'

/** Keys, and the versions, epochs, content types and SHA-256 of what is held of them; null but for the version where nothing is. */
export function wantedColumns(wanted: readonly Wanted[]): unknown[][] {
  return [
    wanted.map(({ key }) => key),
    wanted.map(({ held }) => held?.version ?? noVersion),
    wanted.map(({ held }) => held?.epoch ?? null),
    ...heldColumns(wanted.map(({ held }) => held?.value)),
  ]
}

/** The content types and SHA-256 of values as they stand in the table; null for those that are not known. */
export function heldColumns(values: readonly (Value | undefined)[]): (string | null)[][] {
  const columns = values.map((value) => (value === undefined ? undefined : toColumns(value)))
  return [
    columns.map((column) => column?.contentType ?? null),
    columns.map((column) => (column ? createHash('sha256').update(column.text).digest('hex') : null)),
  ]
}

/** A hash of what a write leaves in the row. */
export function outcomeOf(value: Value): string {
  const { text, contentType } = toColumns(value)
  return createHash('sha256')
    .update(`${contentType ?? ''}:${text}`)
    .digest('hex')
}

export function entryOf(row: EntryRow): StoredEntry | Unchanged | Withheld {
  const { key, version, epoch, value: text, content_type: contentType, remaining_ms, withheld } = row
  if (withheld !== null) return { key, version, epoch, value: undefined, withheld }
  const remainingMs = remaining_ms ?? undefined
  if (text === null) return { key, version, epoch, remainingMs, value: undefined, isComparable: true }
  const value = fromColumns({ text, contentType })
  const isComparable = value.startsWith('"') === (contentType === null)
  return { key, version, epoch, remainingMs, value, isComparable }
}
