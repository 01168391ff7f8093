import type { Middleware } from 'koa'
import type { Clock } from '../../core/ports.js'
import type { RequestStats } from '../../telemetry/request-stats.js'
import { routeOf } from './route-name.js'

/** Counts and times the requests that Koa answers. Endpoints set `ctx.state.source` to the source of the response. */
export function requestMetrics(requests: RequestStats, clock: Clock): Middleware {
  return async (ctx, next) => {
    const startedMs = clock.now()
    await next()
    requests.tally(routeOf(ctx), ctx.status, ctx.state.source).add(clock.now() - startedMs)
  }
}
