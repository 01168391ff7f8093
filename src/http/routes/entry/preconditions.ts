import type { Context } from 'koa'
import { type EntryTag, isEntryTag, type WriteCondition } from '../../../core/state/entry-tag.js'
import { RequestError } from '../problem.js'

/** An element of a list of entity tags. Clients that merge headers leave elements empty (RFC 9110, section 5.6.1). */
const element = /(?:,|^)[ \t]*(?:(W\/)?"([!#-~\x80-\xff]*)"[ \t]*)?(?=,|$)/gy

/** Returns the conditions of a request (RFC 9110, section 13); undefined if it has none. Throws 422. */
export function preconditions(ctx: Context): WriteCondition | undefined {
  const { 'if-match': match, 'if-none-match': noneMatch } = ctx.headers
  if (match === undefined && noneMatch === undefined) return undefined
  return {
    match: match === undefined ? undefined : tagsIn('If-Match', match, false),
    noneMatch: noneMatch === undefined ? undefined : tagsIn('If-None-Match', noneMatch, true),
  }
}

/**
 * Returns the tags in a header that an entry can have. A weak tag does not count in a strong comparison, which is that
 * of If-Match.
 */
function tagsIn(name: string, text: string, isWeakComparison: boolean): '*' | readonly EntryTag[] {
  if (text.trim() === '*') return '*'
  const tags: EntryTag[] = []
  let end = 0
  let isEmpty = true
  for (const [found, weak, tag] of text.matchAll(element)) {
    end += found.length
    if (tag === undefined) continue
    isEmpty = false
    if (isEntryTag(tag) && (isWeakComparison || weak === undefined)) tags.push(tag)
  }
  if (isEmpty || end < text.length)
    throw new RequestError(422, `${name}: must be * or a list of entity tags, such as "1-2-0A1B2C3D"`)
  return tags
}

/** Returns true if the tags contain the one of an entry. `exists` is false if there is no entry. */
export function isAmong(
  tags: '*' | readonly EntryTag[],
  tag: EntryTag | undefined,
  exists: boolean,
): boolean {
  return tags === '*' ? exists : tag !== undefined && tags.includes(tag)
}
