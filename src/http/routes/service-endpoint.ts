import type { ServiceResponse } from '../../http-api.js'
import type { Endpoint } from './endpoint.js'
import { type CacheLimits, limitMembers } from './limits.js'
import { serviceOperation } from './operations/service-operations.js'
import { sendServicePage, wantsHtml } from './service-page.js'

export interface ServiceEndpointOptions {
  /** Version of this program. */
  readonly version: string
  /** Returns the limits in force. */
  readonly limits: () => CacheLimits
  /** URL of the database, without the password. */
  readonly databaseUrl: string
  readonly endpoints: () => readonly string[]
  /** Returns the port of the page about this sidecar; undefined if there is none. */
  readonly pagePort: () => number | undefined
}

/** Returns the endpoint that names the service, its endpoints and its configuration. */
export function serviceEndpoint(options: ServiceEndpointOptions): Endpoint {
  const { version, limits, databaseUrl, endpoints, pagePort } = options
  return {
    method: 'get',
    path: '/',
    operation: serviceOperation,
    handle: (ctx) => {
      if (wantsHtml(ctx)) return sendServicePage(ctx, { version, pagePort: pagePort() })
      ctx.body = {
        service: 'caching-layer',
        version,
        endpoints: endpoints(),
        postgres: databaseUrl,
        cache: limitMembers(limits()),
      } satisfies ServiceResponse
    },
  }
}
