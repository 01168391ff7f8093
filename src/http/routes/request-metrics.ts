import type { Middleware } from 'koa'
import type { Clock } from '../../core/ports.js'
import type { RequestStats } from '../../telemetry/request-stats.js'

/** Counts and times the requests that Koa answers. Endpoints set `ctx.state.source` to the source of the response. */
export function requestMetrics(requests: RequestStats, clock: Clock): Middleware {
  return async (ctx, next) => {
    const startedMs = clock.now()
    await next()
    // The path of an endpoint, so that paths that clients make up do not add labels.
    const route = String(ctx._matchedRouteName ?? 'other')
    requests.tally(route, ctx.status, ctx.state.source).add(clock.now() - startedMs)
  }
}
