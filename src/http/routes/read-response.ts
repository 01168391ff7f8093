import { isBinary, type MediaType } from '../../core/media-type.js'
import type { ReadResult } from '../../core/reads/read-result.js'
import { cacheStatus } from './cache-status.js'
import { problemResponse } from './problem.js'
import type { PlainResponse } from './response.js'
import { expiryMember } from './ttl-seconds.js'

/** Returns the members of an entry up to its value. */
export function membersBefore(key: string): string {
  return `"key":${JSON.stringify(key)},"value":`
}

/**
 * Returns the members of an entry after its value. `encoding` is left out unless the value is binary, `stale` unless it
 * is true, and the remaining time to live if the entry does not expire.
 */
export function membersAfter({ mediaType, forwarded, stale, expiresInMs }: ReadResult): string {
  const source = forwarded === undefined ? 'cache' : 'db'
  return `${encodingMember(mediaType)},"source":"${source}"${stale ? ',"stale":true' : ''}${expiryMember(expiresInMs)}`
}

/** Returns the member that says that the value is base64. */
export function encodingMember(mediaType: MediaType | undefined): string {
  return mediaType !== undefined && isBinary(mediaType) ? ',"encoding":"base64"' : ''
}

/** Returns the response to a GET. The value is JSON text already. */
export function readResponse(key: string, read: ReadResult): PlainResponse {
  const { value, forwarded, stale, ageMs } = read
  const headers = ['Cache-Status', cacheStatus(read)]
  const age = String(Math.floor(ageMs / 1_000))
  const from = forwarded === undefined ? (stale ?? 'cache') : 'db'
  if (value === undefined) {
    if (from === 'cache') headers.push('Age', age)
    return { ...problemResponse({ status: 404, detail: 'Key not found' }, headers), source: from }
  }
  headers.push('Age', age, 'Content-Type', 'application/json; charset=utf-8')
  const body = `{${membersBefore(key)}${value}${membersAfter(read)}}`
  return { status: 200, headers, body, source: from }
}
