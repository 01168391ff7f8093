import { STATUS_CODES } from 'node:http'
import type { Context, Middleware } from 'koa'
import { CacheError, type CacheErrorCode, explanations } from '../../core/errors.js'
import type { Problem as ProblemBody } from '../../http-api.js'
import { type PlainResponse, sendByKoa } from './response.js'
import { routeOf } from './route-name.js'
import { shortName } from './short-name.js'

type RequestErrorStatus = 400 | 413 | 415 | 422 | 428 | 503

/** An error whose `message` is meant for the client: its own mistake, or a lack of room for its request. */
export class RequestError extends Error {
  readonly status: RequestErrorStatus

  constructor(status: RequestErrorStatus, message: string) {
    super(message)
    this.status = status
  }
}

export interface ProblemLog {
  debug(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface Problem {
  readonly status: number
  readonly detail: string
  readonly retryAfterSeconds?: number
}

/** Status of the response to each error of the cache. The message of the database stays in the log. */
const byCode: Readonly<Record<CacheErrorCode, Omit<Problem, 'detail'>>> = {
  'store-unavailable': { status: 503, retryAfterSeconds: 1 },
  'login-refused': { status: 503, retryAfterSeconds: 5 },
  'store-suspended': { status: 503, retryAfterSeconds: 1 },
  'store-not-ready': { status: 503, retryAfterSeconds: 1 },
  'store-busy': { status: 503, retryAfterSeconds: 1 },
  'store-failed': { status: 503, retryAfterSeconds: 5 },
  'row-locked': { status: 503, retryAfterSeconds: 1 },
  'store-locked': { status: 503, retryAfterSeconds: 1 },
  'queue-full': { status: 503, retryAfterSeconds: 5 },
  'outcome-unknown': { status: 503, retryAfterSeconds: 1 },
  forbidden: { status: 403 },
  refused: { status: 422 },
  'too-large': { status: 413 },
  'too-large-together': { status: 413 },
  'not-stored': { status: 422 },
}

/** Returns the problem that the client is told, and logs the rest. */
export function problemIn(error: unknown, path: string, log: ProblemLog): Problem {
  if (error instanceof RequestError) {
    const { status, message: detail } = error
    return status === 503 ? { status, detail, retryAfterSeconds: 1 } : { status, detail }
  }
  if (error instanceof CacheError) {
    const explanation = explanations[error.code]
    const detail = error.key === undefined ? explanation : `${shortName(error.key)}: ${explanation}`
    const problem = { ...byCode[error.code], detail }
    // During an outage every request fails in the same way. The feed logs the outage once.
    log.debug({ reason: error.message, path }, explanation)
    return problem
  }
  log.error({ err: error, path }, 'Internal Server Error')
  return { status: 500, detail: 'Internal Server Error' }
}

/** Returns the response for a problem (RFC 9457), with additional `headers`. */
export function problemResponse(
  { status, detail, retryAfterSeconds }: Problem,
  headers: readonly string[] = [],
): PlainResponse {
  const retryAfter = retryAfterSeconds === undefined ? [] : ['Retry-After', String(retryAfterSeconds)]
  return {
    status,
    headers: [...headers, ...retryAfter, 'Content-Type', 'application/problem+json; charset=utf-8'],
    body: JSON.stringify({
      type: 'about:blank',
      title: STATUS_CODES[status] as string,
      status,
      detail,
    } satisfies ProblemBody),
  }
}

export function sendProblem(ctx: Context, problem: Problem): void {
  sendByKoa(ctx, problemResponse(problem))
}

/** Answers every error with a problem (RFC 9457). The original service had its message in `detail`, too. */
export function problems(log: ProblemLog): Middleware {
  return async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      return sendProblem(ctx, problemIn(error, routeOf(ctx), log))
    }
    if (ctx.status === 404 && ctx.body == null) sendProblem(ctx, { status: 404, detail: 'Not Found' })
    if (ctx.status === 405) sendProblem(ctx, { status: 405, detail: 'Method Not Allowed' })
    if (ctx.status === 501) sendProblem(ctx, { status: 501, detail: 'Not Implemented' })
  }
}
