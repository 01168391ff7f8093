import type { IncomingMessage } from 'node:http'
import type { Cache } from '../../core/cache.js'
import type { Clock } from '../../core/ports.js'
import type { RequestStats } from '../../telemetry/request-stats.js'
import { decodedKey, entryPath, entryPrefix } from '../routes/entry/entry-key.js'
import type { UnreadResponses } from '../server/unread-responses.js'
import type { Lane } from './lane.js'
import { sendEntryHit } from './raw-entry.js'
import { ignoreBody } from './request-body.js'

export interface PlainEntriesOptions {
  readonly cache: Cache
  readonly clock: Clock
  readonly requests: RequestStats
  readonly responses: UnreadResponses
}

/** Returns a lane for a GET or HEAD of `/v1/entries/{key}` without further conditions, if the entry is in memory. */
export function plainEntries({ cache, clock, requests, responses }: PlainEntriesOptions): Lane {
  const hits = requests.tally(entryPath, 200, 'cache')
  return (request, response) => {
    const key = plainKey(request)
    if (key === undefined) return false
    const nowMs = clock.now()
    const entry = cache.hit(key, nowMs)
    if (entry === undefined || !responses.hasRoomFor(entry.bytes)) return false
    ignoreBody(request)
    sendEntryHit(response, entry, nowMs, request.method === 'HEAD')
    responses.written(request.socket)
    hits.add(clock.now() - nowMs)
    return true
  }
}

/** Returns the key of a plain request; undefined if the request has to be examined further. */
function plainKey({ method, url = '', rawHeaders }: IncomingMessage): string | undefined {
  if (!url.startsWith(entryPrefix) || (method !== 'GET' && method !== 'HEAD')) return undefined
  for (let index = entryPrefix.length; index < url.length; index++) {
    const unit = url.charCodeAt(index)
    if (unit === questionMark || unit === hash) return undefined
  }
  if (asksForMore(rawHeaders)) return undefined
  const key = decodedKey(url.slice(entryPrefix.length))
  // The ids of long keys begin with U+0000, which no key contains.
  return key?.includes('\0') ? undefined : key
}

const [questionMark, hash] = [63, 35]
const conditions: ReadonlySet<string> = new Set([
  'cache-token',
  'cache-control',
  'change-feed',
  'if-match',
  'if-none-match',
])

function asksForMore(rawHeaders: readonly string[]): boolean {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    // Comparing lengths first rules out most names.
    const { length } = name
    const isCandidate = length === 8 || length === 11 || length === 13
    if (isCandidate && conditions.has(name.toLowerCase())) return true
  }
  return false
}
