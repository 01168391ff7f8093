import Koa from 'koa'
import type { Clock } from '../../core/ports.js'
import type { RequestStats } from '../../telemetry/request-stats.js'
import type { UnreadResponses } from '../server/unread-responses.js'
import { type CacheRoutesOptions, cacheRoutes } from './cache-routes.js'
import { type ProblemLog, problems } from './problem.js'
import { requestMetrics } from './request-metrics.js'
import { noSniff } from './response.js'
import { type ServiceRoutesOptions, serviceRoutes } from './service-routes.js'
import { shutdownRoute } from './shutdown-route.js'

export interface AppOptions extends CacheRoutesOptions, ServiceRoutesOptions {
  /** Tells the process to stop; undefined where clients may not. */
  readonly onShutdown: (() => void) | undefined
  readonly requests: RequestStats
  readonly clock: Clock
  readonly log: ProblemLog
  readonly responses: UnreadResponses
}

/** The documented service, as a Koa application. */
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
  const routers = [cacheRoutes(options), serviceRoutes(options)]
  if (options.onShutdown) routers.push(shutdownRoute(options.onShutdown))
  for (const router of routers) {
    app.use(router.routes())
    app.use(router.allowedMethods())
  }
  return app
}
