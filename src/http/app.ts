import Koa from 'koa'
import type { Log } from '../core/ports.js'
import { type CacheRoutesOptions, cacheRoutes } from './cache-routes.js'
import { problems } from './problem.js'
import { type ServiceRoutesOptions, serviceRoutes } from './service-routes.js'

export interface AppOptions extends CacheRoutesOptions, ServiceRoutesOptions {
  readonly log: Log
}

/** The documented service, as a Koa application. */
export function createApp(options: AppOptions): Koa {
  const app = new Koa()
  app.on('error', (error: unknown) => options.log.warn({ err: error }, 'a response could not be sent'))
  app.use(problems(options.log))
  for (const router of [cacheRoutes(options), serviceRoutes(options)]) {
    app.use(router.routes())
    app.use(router.allowedMethods())
  }
  return app
}
