import type { Endpoint } from './endpoint.js'
import { shutdownOperation } from './operations/service-operations.js'
import { sendProblem } from './problem.js'
import { comesFromWebPage } from './web-page.js'

/** Returns the endpoint by which a Job ends its sidecar: its pod ends only when the sidecar does. */
export function shutdownEndpoint(onShutdown: () => void): Endpoint {
  return {
    method: 'post',
    path: '/v1/shutdown',
    operation: shutdownOperation,
    handle: (ctx) => {
      if (comesFromWebPage(ctx))
        return sendProblem(ctx, { status: 403, detail: 'Origin: not for web pages', kind: 'web-page' })
      ctx.status = 202
      ctx.body = { status: 'stopping' }
      onShutdown()
    },
  }
}
