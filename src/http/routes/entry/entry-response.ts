import type { ReadResult } from '../../../core/reads/read-result.js'
import { entryTag, type WriteCondition } from '../../../core/state/entry-tag.js'
import { cacheStatus } from '../cache-status.js'
import { problemResponse } from '../problem.js'
import type { PlainResponse } from '../response.js'
import { bodyOf } from './entry-content.js'
import { freshness } from './max-age.js'
import { isAmong } from './preconditions.js'

export const unmet = { status: 412, detail: 'The entry is not as If-Match or If-None-Match requires' }

/** Header of an entry of any type, which a browser must not run as a page of the sidecar. */
const sandbox = ['Content-Security-Policy', "default-src 'none'; sandbox"]

/** Returns the response to a GET of an entry. */
export function entryResponse(read: ReadResult, condition?: WriteCondition): PlainResponse {
  const { value, mediaType, written, forwarded, stale, ageMs, expiresInMs } = read
  const headers = ['Cache-Status', cacheStatus(read)]
  const source = forwarded === undefined ? (stale ?? 'cache') : 'db'
  const tag = written && entryTag(written)
  const { match, noneMatch } = condition ?? {}
  if (match !== undefined && !isAmong(match, tag, value !== undefined))
    return { ...problemResponse(unmet, headers), source }
  const age = ['Age', String(Math.floor(ageMs / 1_000))]
  if (value === undefined) {
    if (forwarded === undefined && stale === undefined) headers.push(...age)
    // A pending write that has expired has no time left: whoever asks later gets another answer.
    if (expiresInMs !== undefined && stale === undefined)
      headers.push('Cache-Control', freshness(ageMs, expiresInMs))
    return { ...problemResponse({ status: 404, detail: 'Key not found' }, headers), source }
  }
  headers.push(...age)
  if (expiresInMs !== undefined) headers.push('Cache-Control', freshness(ageMs, expiresInMs))
  if (tag !== undefined) headers.push('ETag', `"${tag}"`)
  if (noneMatch !== undefined && isAmong(noneMatch, tag, true))
    return { status: 304, headers, body: '', source }
  const { body, contentType } = bodyOf(value, mediaType)
  if (mediaType !== undefined) headers.push(...sandbox)
  headers.push('Content-Type', contentType)
  return { status: 200, headers, body, source }
}
