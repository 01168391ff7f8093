import type { Change } from '../../core/entry.js'
import { mappingName } from '../outbox/drain-statement.js'
import { isEcho } from './echo.js'

/**
 * A change of the cache, the announcement that there are other bindings, the mark of a drain, or the name of a mapping
 * that has not been run to its end: any key of its binding may have changed (P16 to P18).
 */
export type FeedChange =
  | Change
  | { readonly kind: 'bindings' }
  | { readonly kind: 'drain' }
  | { readonly kind: 'mapping'; readonly name: string }

/** Ids that no key has. */
const kinds: ReadonlyMap<string, 'bindings' | 'drain'> = new Map([
  ['\u0000bindings', 'bindings'],
  ['\u0000drain', 'drain'],
])

const ofMapping = new RegExp(`^\u0000${mappingName}$`)

const everything: readonly Change[] = [{ kind: 'everything' }]
const nothing: readonly Change[] = []

/**
 * Decodes the payload of a notification; sql/0002_change_feed.sql describes its format. A payload that cannot be
 * decoded may stand for any change, so it puts everything in doubt.
 */
export function decodeChanges(payload: string | undefined): readonly FeedChange[] {
  if (payload !== undefined && isEcho(payload)) return nothing
  const parts = parse(payload)
  if (parts === undefined) return everything
  const changes: FeedChange[] = []
  for (let index = 0; index < parts.length; index += 2) {
    const id = parts[index] as string
    const kind = kinds.get(id)
    if (kind) changes.push({ kind })
    else if (ofMapping.test(id)) changes.push({ kind: 'mapping', name: id.slice(1) })
    else changes.push({ kind: 'key', id, version: parts[index + 1] as string })
  }
  return changes
}

/** Returns ids and versions alternately, or undefined if the payload is not well-formed. */
function parse(payload: string | undefined): readonly string[] | undefined {
  if (payload === undefined) return undefined
  try {
    const parts: unknown = JSON.parse(payload)
    if (!Array.isArray(parts) || parts.length === 0 || parts.length % 2 !== 0) return undefined
    const wellFormed = parts.every(
      (part: unknown, index) => typeof part === 'string' && (index % 2 === 0 || /^-?\d{1,19}$/.test(part)),
    )
    return wellFormed ? parts : undefined
  } catch {
    return undefined
  }
}
