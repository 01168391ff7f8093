import type { Epoch, StoredEntry, Unchanged, Version } from '../core/entry.js'
import type { Wanted } from '../core/ports.js'
import { fromColumns } from './value.js'

export interface EntryRow {
  readonly key: string
  readonly version: Version
  readonly epoch: Epoch
  /** Null when it is the one that the reader holds. */
  readonly value: string | null
  readonly content_type: string | null
  readonly remaining_ms: number | null
}

/** For `unnest($1::text[], $2::bigint[], $3::text[]) as wanted (key, held_version, held_epoch)`. */
export function wantedColumns(wanted: readonly Wanted[]): unknown[][] {
  return [
    wanted.map(({ key }) => key),
    wanted.map(({ held }) => held?.version ?? null),
    wanted.map(({ held }) => held?.epoch ?? null),
  ]
}

export function entryOf(row: EntryRow): StoredEntry | Unchanged {
  const { key, version, epoch, value: text, content_type: contentType, remaining_ms } = row
  const value = text === null ? undefined : fromColumns({ text, contentType })
  return { key, version, epoch, value, remainingMs: remaining_ms ?? undefined } as StoredEntry | Unchanged
}
