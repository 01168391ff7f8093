import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Cache } from '../../core/cache.js'
import type { Clock } from '../../core/ports.js'
import type { RequestStats } from '../../telemetry/request-stats.js'
import { isKey } from '../routes/key.js'
import { type ProblemLog, problemIn, problemResponse } from '../routes/problem.js'
import { decode } from '../routes/query.js'
import { readResponse } from '../routes/read-response.js'
import type { PlainResponse } from '../routes/response.js'
import { noRoomForResponse, type UnreadResponses } from '../server/unread-responses.js'
import type { Lane } from './lane.js'
import { sendHit, sendRaw } from './raw-response.js'
import { ignoreBody } from './request-body.js'

export interface PlainReadsOptions {
  readonly cache: Cache
  readonly clock: Clock
  readonly requests: RequestStats
  readonly log: ProblemLog
  readonly responses: UnreadResponses
}

const path = '/cache/get'
const prefix = `${path}?key=`

/** Returns a lane for a GET of one key without further conditions, whether the entry is in memory or not. */
export function plainReads({ cache, clock, requests, log, responses }: PlainReadsOptions): Lane {
  const hits = requests.tally(path, 200, 'cache')
  const send = (response: ServerResponse, answer: PlainResponse, sinceMs: number) => {
    const { socket } = response
    sendRaw(response, answer)
    if (socket) responses.written(socket)
    requests.tally(path, answer.status, answer.source).add(clock.now() - sinceMs)
  }
  return (request, response) => {
    const key = plainKey(request)
    if (key === undefined) return false
    const nowMs = clock.now()
    const entry = cache.hit(key, nowMs)
    if (entry) {
      ignoreBody(request)
      if (!responses.hasRoomFor(entry.bytes)) {
        send(response, noRoomForResponse, nowMs)
        return true
      }
      sendHit(response, key, entry, nowMs)
      responses.written(request.socket)
      hits.add(clock.now() - nowMs)
      return true
    }
    if (!isKey(key)) return false
    ignoreBody(request)
    cache.get(key, {}, nowMs).then(
      (read) => {
        const hasRoom = responses.hasRoomFor(read.value?.length ?? 0)
        send(response, hasRoom ? readResponse(key, read) : noRoomForResponse, nowMs)
      },
      (error: unknown) => send(response, problemResponse(problemIn(error, path, log)), nowMs),
    )
    return true
  }
}

/** Returns the key of a plain GET; undefined if the request has to be examined further. */
function plainKey({ method, url = '', rawHeaders }: IncomingMessage): string | undefined {
  if (method !== 'GET' || !url.startsWith(prefix) || asksForMore(rawHeaders)) return undefined
  let isEncoded = false
  for (let index = prefix.length; index < url.length; index++) {
    const unit = url.charCodeAt(index)
    if (unit === ampersand || unit === hash) return undefined
    if (unit === percent || unit === plus) isEncoded = true
  }
  const text = url.slice(prefix.length)
  return isEncoded ? decodedKey(text) : text
}

/**
 * Decodes a key. Returns undefined for one with U+0000, which is refused: the ids of long keys begin with that
 * character.
 */
function decodedKey(text: string): string | undefined {
  const key = decode(text)
  return key?.includes('\0') ? undefined : key
}

const [percent, plus, ampersand, hash] = [37, 43, 38, 35]

function asksForMore(rawHeaders: readonly string[]): boolean {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    // Comparing lengths first rules out most names.
    if (name.length === 11 && name.toLowerCase() === 'cache-token') return true
    if (name.length === 13 && name.toLowerCase() === 'cache-control') return true
  }
  return false
}
