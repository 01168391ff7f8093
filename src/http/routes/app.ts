import Router from '@koa/router'
import Koa from 'koa'
import type { Clock } from '../../core/ports.js'
import type { RequestStats } from '../../telemetry/request-stats.js'
import type { UnreadResponses } from '../server/unread-responses.js'
import type { Endpoint } from './endpoint.js'
import { type ProblemLog, problems } from './problem.js'
import { requestMetrics } from './request-metrics.js'
import { noSniff } from './response.js'

export interface AppOptions {
  readonly endpoints: readonly Endpoint[]
  readonly requests: RequestStats
  readonly clock: Clock
  readonly log: ProblemLog
  readonly responses: UnreadResponses
}

/** Returns the documented service as a Koa application. */
export function createApp(options: AppOptions): Koa {
  const app = new Koa()
  app.on('error', (error: unknown) => options.log.debug({ err: error }, 'a response could not be sent'))
  app.use((ctx, next) => {
    ctx.set(...noSniff)
    return next()
  })
  app.use(requestMetrics(options.requests, options.clock))
  app.use(options.responses.middleware())
  app.use(problems(options.log))
  const router = new Router({ strict: true })
  // The path is also the name of the route. In a pattern of the router, a colon would begin a parameter.
  for (const { method, path, pattern = path.replaceAll(':', '\\:'), handle } of options.endpoints)
    router[method](path, pattern, handle)
  app.use(router.routes())
  app.use(router.allowedMethods())
  return app
}
