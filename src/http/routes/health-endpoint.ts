import type { Cache } from '../../core/cache.js'
import { explanations } from '../../core/errors.js'
import type { HealthResponse } from '../../http-api.js'
import type { Endpoint } from './endpoint.js'
import { healthOperation } from './operations/service-operations.js'

/** Returns the endpoint that says that the process runs, its version, the state of its change feed, and what fails. */
export function healthEndpoint(cache: Cache, version: string): Endpoint {
  return {
    method: 'get',
    path: '/health',
    operation: healthOperation,
    listedQuery: '',
    handle: (ctx) => {
      const { feed, feedReason, pendingWrites, pendingWritesObstacle, faults } = cache.status()
      ctx.body = {
        status: 'ok',
        version,
        feed,
        ...(feedReason && { reason: feedReason }),
        ...(faults.length > 0 && {
          failing: Object.fromEntries(faults.map(({ operation, code }) => [operation, explanations[code]])),
        }),
        ...(pendingWrites > 0 && {
          pending_writes: {
            count: pendingWrites,
            ...(pendingWritesObstacle && { reason: explanations[pendingWritesObstacle] }),
          },
        }),
      } satisfies HealthResponse
    },
  }
}
