import Router from '@koa/router'

/** For a Job: its pod ends only when the sidecar does, so the job tells it when it is done. */
export function shutdownRoute(onShutdown: () => void): Router {
  const router = new Router({ strict: true })

  router.post('/v1/shutdown', (ctx) => {
    ctx.status = 202
    ctx.body = { status: 'stopping' }
    onShutdown()
  })

  return router
}
