import type { Absent, Epoch, StoredEntry, Unchanged, Version, Withheld } from '../../core/entry.js'
import type { Wanted } from '../../core/ports.js'
import type { AttributeRow } from '../schema/entry-columns.js'
import { fromColumns, isAsWritten } from './value.js'
import { heldColumns } from './value-digest.js'
import type { NothingRow } from './written-row.js'

export interface EntryRow extends AttributeRow {
  readonly key: string
  readonly version: Version
  readonly epoch: Epoch
  /** Text of the value; null if the reader holds it already, or if it is withheld. */
  readonly value: string | null
  readonly withheld: Withheld['withheld'] | null
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
    ...heldColumns(wanted.map(({ held }) => held)),
  ]
}

/** Returns the entry of a row. */
export function entryOf(row: EntryRow): StoredEntry | Unchanged | Withheld {
  const { key, version, epoch, value: text, content_type: contentType, remaining_ms, withheld } = row
  if (withheld !== null) return { key, version, epoch, value: undefined, withheld }
  const remainingMs = remaining_ms ?? undefined
  if (text === null) return { key, version, epoch, remainingMs, value: undefined, isComparable: true }
  const content = fromColumns({ text, contentType })
  const { value, mediaType } = content
  const isComparable = isAsWritten(content, contentType)
  return { key, version, epoch, remainingMs, value, mediaType, isComparable }
}

/**
 * Returns an answer for each key. `rows` are those of entries, or the row without a key. Empties `rows`: the text of a
 * row and its value as JSON are two strings, so that all values would be in memory twice.
 */
export function entriesOf(
  wanted: readonly Wanted[],
  rows: (EntryRow | NothingRow)[],
): Map<string, StoredEntry | Unchanged | Withheld | Absent> {
  const { epoch } = rows[0] as NothingRow | EntryRow
  const answers = new Map<string, StoredEntry | Unchanged | Withheld | Absent>()
  for (const { key } of wanted) answers.set(key, { version: undefined, epoch })
  for (let row = rows.pop(); row !== undefined; row = rows.pop())
    if (row.key !== null) answers.set(row.key, entryOf(row))
  return answers
}
