import type { Middleware } from 'koa'
import type { Clock } from '../../core/ports.js'
import type { RequestStats } from '../../telemetry/request-stats.js'

/** Counts what Koa answers, from the request to the answer; routes say in `ctx.state.source` where it came from. */
export function requestMetrics(requests: RequestStats, clock: Clock): Middleware {
  return async (ctx, next) => {
    const startedMs = clock.now()
    await next()
    // The router's template, so that a path that somebody makes up is no name of its own.
    const route = String(ctx._matchedRoute ?? 'other')
    requests.tally(route, ctx.status, ctx.state.source).add(clock.now() - startedMs)
  }
}
