import { hasCode } from '../../../../core/errors.js'
import type { ListedEntry, Listing } from '../../../../core/reads/listing.js'
import { listRequest } from '../../../routes/list-request.js'
import { RequestError } from '../../../routes/problem.js'
import { expiresInSeconds } from '../../../routes/ttl-seconds.js'
import type { KeysView, ShownEntry } from '../view-data.js'

export interface KeysSources {
  readonly listing: Pick<Listing, 'isCrowded' | 'page'>
  readonly isHeld: (key: string) => boolean
  readonly keys: 'on' | 'hash'
  readonly hasValues: boolean
}

const pageLength = 50
/** Number of characters of a value that are shown. */
const shownCharacters = 1_000

/**
 * Returns a page of the keys in the database that begin with a prefix. The query string has the parameters `prefix` and
 * `after` of `GET /v1/entries`.
 */
export async function keysView(sources: KeysSources, query: string): Promise<KeysView> {
  const { listing, isHeld, keys, hasValues } = sources
  if (keys === 'hash') throw new RequestError(422, 'CACHE_UI_KEYS=hash: keys are not shown')
  const { prefix, after } = listRequest(query)
  if (listing.isCrowded)
    throw new RequestError(503, 'Too many lists are waiting: try again', 'too-many-lists')
  try {
    const request = { prefix, after, limit: pageLength, withValues: hasValues }
    const { rows, next } = await listing.page(request)
    const entries = rows.map((row) => shown(row, isHeld(row.key)))
    return { entries, hasValues, ...(next !== undefined && { next }) }
  } catch (error) {
    if (hasCode(error, 'store-busy'))
      throw new RequestError(503, 'The database did not list the keys in time', 'slow-list')
    throw error
  }
}

function shown(
  { key, bytes, remainingMs, version, groups, value }: ListedEntry,
  isHeld: boolean,
): ShownEntry {
  return {
    key,
    bytes,
    expiresInSeconds: remainingMs === undefined ? null : expiresInSeconds(remainingMs),
    version,
    groups,
    isHeld,
    ...(value !== undefined && {
      value: value.length > shownCharacters ? `${value.slice(0, shownCharacters)}…` : value,
    }),
  }
}
