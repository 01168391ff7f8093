import Router from '@koa/router'
import { sendProblem } from './problem.js'
import { comesFromWebPage } from './web-page.js'

/** For a Job: its pod ends only when the sidecar does, so the job tells it when it is done. */
export function shutdownRoute(onShutdown: () => void): Router {
  const router = new Router({ strict: true })

  router.post('/v1/shutdown', (ctx) => {
    if (comesFromWebPage(ctx)) return sendProblem(ctx, { status: 403, detail: 'Origin: not for web pages' })
    ctx.status = 202
    ctx.body = { status: 'stopping' }
    onShutdown()
  })

  return router
}
