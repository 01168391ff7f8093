import type { Endpoint } from './endpoint.js'
import { type CacheLimits, shownLimits } from './limits.js'

export interface ServiceEndpointOptions {
  /** Returns the limits in force. */
  readonly limits: () => CacheLimits
  /** URL of the database, without the password. */
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
