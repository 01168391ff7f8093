import { type BatchEndpointOptions, batchEndpoint } from './batch/batch-endpoint.js'
import { type CacheEndpointsOptions, cacheEndpoints } from './cache-endpoints.js'
import { type ChangesEndpointsOptions, changesEndpoints } from './changes/changes-endpoints.js'
import { type Endpoint, listOf } from './endpoint.js'
import { type EntriesEndpointOptions, entriesEndpoint } from './entries-endpoint.js'
import { type EntryEndpointsOptions, entryEndpoints } from './entry/entry-endpoints.js'
import { healthEndpoint } from './health-endpoint.js'
import { invalidateEndpoint } from './invalidate-endpoint.js'
import { type ListEndpointsOptions, listEndpoints } from './list-endpoints.js'
import { openApiEndpoint } from './openapi/openapi-endpoint.js'
import { type ServiceEndpointOptions, serviceEndpoint } from './service-endpoint.js'
import { shutdownEndpoint } from './shutdown-endpoint.js'
import { type StatisticsEndpointOptions, statisticsEndpoint } from './statistics-endpoint.js'

export interface EndpointsOptions
  extends CacheEndpointsOptions,
    BatchEndpointOptions,
    ChangesEndpointsOptions,
    EntriesEndpointOptions,
    EntryEndpointsOptions,
    ListEndpointsOptions,
    Omit<ServiceEndpointOptions, 'endpoints'>,
    StatisticsEndpointOptions {
  /** Tells the process to stop; undefined where clients may not. */
  readonly onShutdown: (() => void) | undefined
}

/** Returns all endpoints of the data listener, in the order in which `GET /` lists them. */
export function createEndpoints(options: EndpointsOptions): readonly Endpoint[] {
  const { cache, version, onShutdown } = options
  const endpoints: Endpoint[] = [
    healthEndpoint(cache, version),
    ...cacheEndpoints(options),
    ...entryEndpoints(options),
    entriesEndpoint(options),
    ...listEndpoints(options),
    batchEndpoint(options),
    invalidateEndpoint(options),
    ...changesEndpoints(options),
    statisticsEndpoint(options),
    openApiEndpoint(() => endpoints, version),
    serviceEndpoint({ ...options, endpoints: () => listOf(endpoints) }),
    ...(onShutdown ? [shutdownEndpoint(onShutdown)] : []),
  ]
  return endpoints
}
