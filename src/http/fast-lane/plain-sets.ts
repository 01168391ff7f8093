import type { Cache } from '../../core/cache.js'
import type { Clock } from '../../core/ports.js'
import type { RequestStats } from '../../telemetry/request-stats.js'
import { type ProblemLog, problemIn, problemResponse } from '../routes/problem.js'
import { type PlainResponse, sendDirectly } from '../routes/response.js'
import { setRequest } from '../routes/set-request.js'
import { setResponse } from '../routes/set-response.js'
import { noRoomForBody, type RequestBodies } from '../server/request-bodies.js'
import type { Lane } from './lane.js'
import { sendRaw } from './raw-response.js'
import { receiveBody } from './request-body.js'

export interface PlainSetsOptions {
  readonly cache: Cache
  readonly clock: Clock
  readonly requests: RequestStats
  readonly log: ProblemLog
  /** Maximum length of the body of a set. */
  readonly maxValueBytes: number
  readonly bodies: RequestBodies
}

const path = '/cache/set'

/**
 * Returns a lane for a POST of JSON with a Content-Length. Koa takes a third of the time of such a request
 * (bench/README.md).
 */
export function plainSets({ cache, clock, requests, log, maxValueBytes, bodies }: PlainSetsOptions): Lane {
  return (request, response) => {
    if (request.method !== 'POST' || request.url !== path) return false
    const length = plainLength(request.rawHeaders)
    if (length === undefined || length > maxValueBytes || !bodies.hasRoomFor(length)) return false
    const startedMs = clock.now()
    const answered = (answer: PlainResponse) => {
      bodies.release(length)
      sendRaw(response, answer)
      requests.tally(path, answer.status, answer.source).add(clock.now() - startedMs)
    }
    const failed = (error: unknown) => answered(problemResponse(problemIn(error, path, log)))
    receiveBody(request, length, bodies, (bytes) => {
      if (bytes === undefined) {
        sendDirectly(response, noRoomForBody)
        requests.tally(path, noRoomForBody.status).add(clock.now() - startedMs)
        return
      }
      try {
        const { key, value, options } = setRequest(bytes)
        cache.set(key, value, options).then((result) => answered(setResponse(result)), failed)
      } catch (error) {
        failed(error)
      }
    })
    return true
  }
}

/** Headers that a set refuses. */
const conditions: ReadonlySet<string> = new Set(['if-match', 'if-none-match', 'fill-lease'])

/**
 * Returns the Content-Length of a plain JSON body; undefined for any other body, and with a condition. Node makes sure
 * that the client sends exactly that many bytes.
 */
function plainLength(rawHeaders: readonly string[]): number | undefined {
  let isJson = false
  let length: number | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    // Comparing lengths first rules out most names.
    const { length: nameLength } = name
    if ((nameLength === 8 || nameLength === 10 || nameLength === 13) && conditions.has(name.toLowerCase()))
      return undefined
    if (name.length === 12 && name.toLowerCase() === 'content-type') {
      if (isJson || rawHeaders[index + 1] !== 'application/json') return undefined
      isJson = true
    } else if (name.length === 14 && name.toLowerCase() === 'content-length') {
      length = Number(rawHeaders[index + 1])
    } else if (name.length === 16 && name.toLowerCase() === 'content-encoding') return undefined
    else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') return undefined
  }
  return isJson ? length : undefined
}
