import type { Client, ClientOptions } from '../../clients/node/src/api.js'
import { createClient } from '../../clients/node/src/create-client.js'
import { cacheDatabase, type FreshDatabase, type Owner } from './database.js'
import { eventually } from './eventually.js'
import { type StartedSidecar, type StartOptions, startLiveSidecar } from './sidecar.js'

export interface Connected extends FreshDatabase, StartedSidecar {
  /** The package's client of the sidecar. `client` is the one of the tests. */
  readonly app: Client
}

/** Starts a sidecar on a database of its own, and connects a client of the package to it. */
export async function connectedClient(
  t: Owner,
  options: Partial<ClientOptions> = {},
  settings: Partial<StartOptions> = {},
): Promise<Connected> {
  const database = await cacheDatabase(t)
  const started = await startLiveSidecar(t, { databaseUrl: database.url, ...settings })
  const app = createClient({ url: started.client.base, ...options })
  t.teardown(() => app.close())
  return { ...database, ...started, app }
}

export const nearOptions = { maxEntries: 1_000, maxBytes: 1_000_000 }

/** Resolves when the near cache has a stream and a proof. */
export async function nearIsProven({ near }: Client): Promise<void> {
  await eventually(() => near?.stats().leaseAgeMs !== undefined)
}
