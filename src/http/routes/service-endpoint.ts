import type { Endpoint } from './endpoint.js'
import { type CacheLimits, shownLimits } from './limits.js'

export interface ServiceEndpointOptions {
  /** Those in force at this moment. */
  readonly limits: () => CacheLimits
  /** Without its password. */
  readonly databaseUrl: string
  readonly endpoints: () => readonly string[]
}

/** Returns the endpoint that names the service, its endpoints and its configuration. */
export function serviceEndpoint({ limits, databaseUrl, endpoints }: ServiceEndpointOptions): Endpoint {
  return {
    method: 'get',
    path: '/',
    handle: (ctx) => {
      ctx.body = {
        service: 'caching-layer',
        endpoints: endpoints(),
        postgres: databaseUrl,
        cache: shownLimits(limits()),
      }
    },
  }
}
