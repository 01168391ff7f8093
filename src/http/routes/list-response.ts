import type { ListedRows } from '../../core/ports.js'
import type { ListedEntry, PageRequest } from '../../core/reads/listing.js'
import type { ListedEntry as ListedEntryBody } from '../../http-api.js'
import { encodingMember } from './read-response.js'
import type { PlainResponse } from './response.js'
import { expiresInSeconds } from './ttl-seconds.js'

/** Returns the response to a request for a page. Values are JSON text already. */
export function listResponse(request: PageRequest, { rows, next }: ListedRows<ListedEntry>): PlainResponse {
  const more = next === undefined ? '' : `,"next":${JSON.stringify(next)}`
  return {
    status: 200,
    headers: [
      ...(next === undefined ? [] : ['Link', `<${pathOf({ ...request, after: next })}>; rel="next"`]),
      'Content-Type',
      'application/json; charset=utf-8',
    ],
    body: `{"entries":[${rows.map(entryText).join(',')}]${more}}`,
    source: 'db',
  }
}

function entryText(entry: ListedEntry): string {
  const { key, version, bytes, remainingMs, groups, value, mediaType } = entry
  const text = JSON.stringify({
    key,
    version,
    size: bytes,
    expires_in_seconds: remainingMs === undefined ? null : expiresInSeconds(remainingMs),
    ...(groups.length > 0 && { groups }),
  } satisfies ListedEntryBody)
  return value === undefined ? text : `${text.slice(0, -1)},"value":${value}${encodingMember(mediaType)}}`
}

/** Returns the URL of a page, relative to that of the sidecar. */
function pathOf({ prefix, limit, after, withValues }: PageRequest): string {
  const query = { prefix, limit: String(limit), after, ...(withValues && { values: 'true' }) }
  const parts = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
  return `/v1/entries?${parts.join('&')}`
}
