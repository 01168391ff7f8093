import { STATUS_CODES } from 'node:http'
import type { Context, Middleware } from 'koa'
import { CacheError, type CacheErrorCode, explanations } from '../../core/errors.js'
import { type PlainResponse, sendByKoa } from './response.js'

/** What a client got wrong, or asks for when there is no room: its `message` is for the client. */
export class RequestError extends Error {
  readonly status: 413 | 415 | 422 | 503

  constructor(status: 413 | 415 | 422 | 503, message: string) {
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

/** How each error of the cache is answered. What the database said stays in the log. */
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
  'not-stored': { status: 422 },
}

/** What the client is told of an error, and what the log is told. */
export function problemIn(error: unknown, path: string, log: ProblemLog): Problem {
  if (error instanceof RequestError) {
    const { status, message: detail } = error
    return status === 503 ? { status, detail, retryAfterSeconds: 1 } : { status, detail }
  }
  if (error instanceof CacheError) {
    const problem = { ...byCode[error.code], detail: explanations[error.code] }
    // During an outage every request fails alike; what matters of that is logged once, by the feed.
    log.debug({ reason: error.message, path }, problem.detail)
    return problem
  }
  log.error({ err: error, path }, 'Internal Server Error')
  return { status: 500, detail: 'Internal Server Error' }
}

/** As RFC 9457 has it. `headers` are sent too. */
export function problemResponse(
  { status, detail, retryAfterSeconds }: Problem,
  headers: readonly string[] = [],
): PlainResponse {
  const retryAfter = retryAfterSeconds === undefined ? [] : ['Retry-After', String(retryAfterSeconds)]
  return {
    status,
    headers: [...headers, ...retryAfter, 'Content-Type', 'application/problem+json; charset=utf-8'],
    body: JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail }),
  }
}

export function sendProblem(ctx: Context, problem: Problem): void {
  sendByKoa(ctx, problemResponse(problem))
}

/** Every error as RFC 9457; `detail` is where the original service put its message. */
export function problems(log: ProblemLog): Middleware {
  return async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      return sendProblem(ctx, problemIn(error, String(ctx._matchedRoute ?? 'other'), log))
    }
    if (ctx.status === 404 && ctx.body == null) sendProblem(ctx, { status: 404, detail: 'Not Found' })
    if (ctx.status === 405) sendProblem(ctx, { status: 405, detail: 'Method Not Allowed' })
    if (ctx.status === 501) sendProblem(ctx, { status: 501, detail: 'Not Implemented' })
  }
}
