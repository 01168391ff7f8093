import { STATUS_CODES } from 'node:http'
import type { Context, Middleware } from 'koa'
import { CacheError, type CacheErrorCode } from '../../core/errors.js'
import type { Problem as ProblemBody } from '../../http-api.js'
import { type ProblemKind, problemType, statusOfKind, usualKind } from './problems/problem-kinds.js'
import { type PlainResponse, sendByKoa } from './response.js'
import { routeOf } from './route-name.js'
import { shortName } from './short-name.js'

type RequestErrorStatus = 400 | 413 | 415 | 422 | 428 | 503

/** An error whose `message` is meant for the client: its own mistake, or a lack of room for its request. */
export class RequestError extends Error {
  readonly status: RequestErrorStatus
  readonly kind: ProblemKind

  /** Without a kind, it is the most frequent one with this status. */
  constructor(status: RequestErrorStatus, message: string, kind = usualKind(status)) {
    super(message)
    this.status = status
    this.kind = kind
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
  /** Without it, the most frequent kind with this status. */
  readonly kind?: ProblemKind
}

/** Seconds after which a client may try again, where it is not one. */
const retryAfterSeconds: Readonly<Partial<Record<CacheErrorCode, number>>> = {
  'login-refused': 5,
  'store-failed': 5,
  'queue-full': 5,
}

/** Returns the problem that the client is told, and logs the rest. */
export function problemIn(error: unknown, path: string, log: ProblemLog): Problem {
  if (error instanceof RequestError) {
    const { status, message: detail, kind } = error
    return withRetry({ status, detail, kind })
  }
  if (error instanceof CacheError) {
    const { explanation } = error
    const detail = error.key === undefined ? explanation : `${shortName(error.key)}: ${explanation}`
    // During an outage every request fails in the same way. The feed logs the outage once.
    log.debug({ reason: error.message, path }, explanation)
    const kind = error.code
    // The message of the database stays in the log.
    return withRetry({ status: statusOfKind[kind], detail, kind }, retryAfterSeconds[kind])
  }
  log.error({ err: error, path }, 'Internal Server Error')
  return { status: 500, detail: 'Internal Server Error', kind: 'internal-error' }
}

function withRetry(problem: Problem, afterSeconds = 1): Problem {
  return problem.status === 503 ? { ...problem, retryAfterSeconds: afterSeconds } : problem
}

/** Returns the response for a problem (RFC 9457), with additional `headers`. */
export function problemResponse(
  { status, detail, retryAfterSeconds, kind = usualKind(status) }: Problem,
  headers: readonly string[] = [],
): PlainResponse {
  const retryAfter = retryAfterSeconds === undefined ? [] : ['Retry-After', String(retryAfterSeconds)]
  return {
    status,
    headers: [...headers, ...retryAfter, 'Content-Type', 'application/problem+json; charset=utf-8'],
    body: JSON.stringify({
      type: problemType(kind),
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
    if (ctx.status === 404 && ctx.body == null)
      sendProblem(ctx, { status: 404, detail: 'Not Found', kind: 'no-route' })
    if (ctx.status === 405)
      sendProblem(ctx, { status: 405, detail: 'Method Not Allowed', kind: 'wrong-method' })
    if (ctx.status === 501)
      sendProblem(ctx, { status: 501, detail: 'Not Implemented', kind: 'unknown-method' })
  }
}
