import type { Cache } from '../core/cache.js'
import type { Clock } from '../core/ports.js'
import type { Answer } from './answer.js'
import type { Lane } from './lane.js'
import { type ProblemLog, problemAnswer, problemIn } from './problem.js'
import { receiveBody } from './request-body.js'
import type { RequestStats } from './request-stats.js'
import { sendAtOnce } from './send-at-once.js'
import { setAnswer } from './set-answer.js'
import { setRequest } from './set-request.js'

export interface PlainSetsOptions {
  readonly cache: Cache
  readonly clock: Clock
  readonly requests: RequestStats
  readonly log: ProblemLog
  /** Largest body of a set. */
  readonly maxValueBytes: number
}

const path = '/cache/set'

/** A POST of JSON that says how long it is. Koa takes a third of what such a request costs (bench/README.md). */
export function plainSets({ cache, clock, requests, log, maxValueBytes }: PlainSetsOptions): Lane {
  return (request, response) => {
    if (request.method !== 'POST' || request.url !== path || !isPlain(request.rawHeaders, maxValueBytes))
      return false
    const startedMs = clock.now()
    const answered = (answer: Answer) => {
      sendAtOnce(response, answer)
      requests.tally(path, answer.status, answer.source).add(clock.now() - startedMs)
    }
    const failed = (error: unknown) => answered(problemAnswer(problemIn(error, path, log)))
    receiveBody(request, (bytes) => {
      try {
        const { key, value } = setRequest(bytes)
        cache.set(key, value).then((result) => answered(setAnswer(result)), failed)
      } catch (error) {
        failed(error)
      }
    })
    return true
  }
}

/** JSON, of a length that is told beforehand and is allowed. Node holds the client to that length. */
function isPlain(rawHeaders: readonly string[], maxBytes: number): boolean {
  let isJson = false
  let fits = false
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    // Most names are told apart by their length.
    if (name.length === 12 && name.toLowerCase() === 'content-type') {
      if (isJson || rawHeaders[index + 1] !== 'application/json') return false
      isJson = true
    } else if (name.length === 14 && name.toLowerCase() === 'content-length') {
      fits = Number(rawHeaders[index + 1]) <= maxBytes
    } else if (name.length === 16 && name.toLowerCase() === 'content-encoding') return false
    else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') return false
  }
  return isJson && fits
}
