import { createHash } from 'node:crypto'
import type { Content } from '../../core/media-type.js'
import { toColumns } from './value.js'

/**
 * Returns the content types and the SHA-256 of contents as they are stored; null for unknown ones. One text at a time
 * is in memory beside the contents, because together they may be as large as everything that is held.
 */
export function heldColumns(contents: readonly (Content | undefined)[]): (string | null)[][] {
  const types: (string | null)[] = []
  const digests: (string | null)[] = []
  for (const content of contents) {
    const column = content && toColumns(content)
    types.push(column?.contentType ?? null)
    digests.push(column ? createHash('sha256').update(column.text).digest('hex') : null)
  }
  return [types, digests]
}

/** Returns a hash of the content type and the text that a write leaves in the row. */
export function outcomeOf(content: Content): string {
  const { text, contentType } = toColumns(content)
  return createHash('sha256')
    .update(`${contentType ?? ''}:${text}`)
    .digest('hex')
}

/**
 * Returns SQL that is true if the stored value is the held one. Equal versions mean equal values, unless somebody has
 * disabled the triggers, updated rows, and enabled the triggers again.
 */
export const isHeld = (entry: string) =>
  `${entry}.content_type is not distinct from held_type
   and encode(sha256(convert_to(${entry}.value, 'UTF8'::name)), 'hex') = held_digest`

/** Returns SQL for a hash of the content type and the value of a row. Same as `outcomeOf`. */
export const outcomeIn = (entry: string) =>
  `encode(sha256(convert_to(coalesce(${entry}.content_type, '') || (':' || ${entry}.value), 'UTF8'::name)), 'hex')`
