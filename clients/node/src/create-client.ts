import type { Client, ClientOptions } from './api.js'
import { CachingClient } from './caching-client.js'

/** Creates a client of one sidecar. Nothing is sent before the first call, unless there is a near cache. */
export function createClient(options: ClientOptions): Client {
  return new CachingClient(options)
}
