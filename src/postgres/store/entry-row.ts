import { createHash } from 'node:crypto'
import type { Epoch, StoredEntry, Unchanged, Value, Version, Withheld } from '../../core/entry.js'
import type { Wanted } from '../../core/ports.js'
import { fromColumns, toColumns } from './value.js'

export interface EntryRow {
  readonly key: string
  readonly version: Version
  readonly epoch: Epoch
  /** Text of the value; null if the reader holds it already, or if it is withheld. */
  readonly value: string | null
  readonly withheld: Withheld['withheld'] | null
  readonly content_type: string | null
  readonly remaining_ms: number | null
}

/**
 * Version that no row has. It stands for null if nothing is held, because a session with `array_nulls = off` cannot
 * read a null in an array.
 */
const noVersion = '0'

/**
 * Returns five columns: the keys, and the versions, epochs, content types and SHA-256 of the held entries. If nothing
 * is held of a key, the version is `noVersion`, and the others are null.
 */
export function wantedColumns(wanted: readonly Wanted[]): unknown[][] {
  return [
    wanted.map(({ key }) => key),
    wanted.map(({ held }) => held?.version ?? noVersion),
    wanted.map(({ held }) => held?.epoch ?? null),
    ...heldColumns(wanted.map(({ held }) => held?.value)),
  ]
}

/** Returns the content types and the SHA-256 of values as they are stored; null for unknown values. */
export function heldColumns(values: readonly (Value | undefined)[]): (string | null)[][] {
  const columns = values.map((value) => (value === undefined ? undefined : toColumns(value)))
  return [
    columns.map((column) => column?.contentType ?? null),
    columns.map((column) => (column ? createHash('sha256').update(column.text).digest('hex') : null)),
  ]
}

/** Returns a hash of the content type and the text that a write leaves in the row. */
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
