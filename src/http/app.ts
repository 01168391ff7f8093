import Koa from 'koa'
import { type CacheRoutesOptions, cacheRoutes } from './cache-routes.js'
import { type ProblemLog, problems } from './problem.js'
import { type ServiceRoutesOptions, serviceRoutes } from './service-routes.js'

export interface AppOptions extends CacheRoutesOptions, ServiceRoutesOptions {
  readonly log: ProblemLog
}

/** The documented service, as a Koa application. */
export function createApp(options: AppOptions): Koa {
  const app = new Koa()
  app.on('error', (error: unknown) => options.log.debug({ err: error }, 'a response could not be sent'))
  app.use(problems(options.log))
  for (const router of [cacheRoutes(options), serviceRoutes(options)]) {
    app.use(router.routes())
    app.use(router.allowedMethods())
  }
  return app
}
