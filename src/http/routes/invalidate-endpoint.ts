import type { Context } from 'koa'
import type { Cache } from '../../core/cache.js'
import type { InvalidateResponse } from '../../http-api.js'
import type { RequestBodies } from '../server/request-bodies.js'
import { largestBytesOfKeys, withJsonBody } from './body.js'
import type { Endpoint } from './endpoint.js'
import { refuseConditions } from './header-checks.js'
import { invalidateRequest } from './invalidate-request.js'
import { invalidateOperation } from './operations/entries-operations.js'

export interface InvalidateEndpointOptions {
  readonly cache: Cache
  readonly bodies: RequestBodies
}

/** Returns the endpoint that removes entries by key, group or prefix. */
export function invalidateEndpoint({ cache, bodies }: InvalidateEndpointOptions): Endpoint {
  const maxBytes = Math.min(largestBytesOfKeys, bodies.largestBytes)
  return {
    method: 'post',
    path: '/v1/invalidate',
    listedQuery: '',
    operation: invalidateOperation,
    handle: async (ctx: Context) => {
      refuseConditions(ctx)
      const removed = await withJsonBody(ctx, { maxBytes, bodies }, async (bytes) =>
        cache.invalidate(invalidateRequest(bytes)),
      )
      ctx.state.source = 'db'
      ctx.body = { removed } satisfies InvalidateResponse
    },
  }
}
