import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { CacheOptions } from '../../src/core/cache.js'
import { ChangedReads } from '../../src/core/changes/changed-reads.js'
import { KeyWaits } from '../../src/core/changes/key-waits.js'
import { FillContests } from '../../src/core/leases/fill-contests.js'
import type { LeasedReads } from '../../src/core/leases/leased-reads.js'
import type { Listing } from '../../src/core/reads/listing.js'
import type { MemoryUse } from '../../src/core/state/memory-use.js'
import { fastLane } from '../../src/http/fast-lane/fast-lane.js'
import { createApp } from '../../src/http/routes/app.js'
import { ChangeStreams } from '../../src/http/routes/changes/change-streams.js'
import { createEndpoints, type EndpointsOptions } from '../../src/http/routes/endpoints.js'
import { RequestBodies } from '../../src/http/server/request-bodies.js'
import { UnreadResponses } from '../../src/http/server/unread-responses.js'
import { RequestStats } from '../../src/telemetry/request-stats.js'
import type { Owner } from './database.js'
import { JsonClient } from './json-client.js'
import { liveSidecar, maxStalenessMs, ttlMs } from './model-sidecar.js'

export interface ModelHttpOptions extends Partial<EndpointsOptions> {
  readonly cacheOptions?: Partial<CacheOptions>
  readonly isFastLaneOn?: boolean
  /** Bytes of responses that their clients have not read. */
  readonly responseBytes?: number
}

/**
 * Serves the endpoints of the data listener over the core of a sidecar with models of its database and its feed, which
 * is live. Leases and lists are left to the caller.
 */
export async function modelHttp(t: Owner, options: ModelHttpOptions = {}) {
  const { cacheOptions, isFastLaneOn = false, responseBytes = 1_000_000, ...parts } = options
  const sidecar = await liveSidecar(cacheOptions)
  const { cache, clock } = sidecar
  const requests = new RequestStats()
  const responses = new UnreadResponses(responseBytes)
  const bodies = new RequestBodies(1_000_000)
  const contests = new FillContests()
  const after = () => () => undefined
  const waits = new KeyWaits({ cache, contests, clock, after })
  const errors: object[] = []
  const log = { debug: () => undefined, error: (fields: object) => errors.push(fields) }
  const maxValueBytes = 100_000
  const endpoints = createEndpoints({
    version: '1.2.3',
    cache,
    listing: {} as Listing,
    leasedReads: {} as LeasedReads,
    changedReads: new ChangedReads({ cache, contests, waits, clock }),
    changeStreams: new ChangeStreams({ following: cache.following, responses, clock, maxStalenessMs }),
    limits: () => ({ capacity: 100, ttlSeconds: ttlMs / 1_000 }),
    attempts: () => ({ breaker: 'closed', retries: 1, opened: 2, refused: 3 }),
    expiredRowsRemoved: () => 4,
    memory: () => ({ entries: { bytes: 5, limitBytes: 6 } }) as unknown as MemoryUse,
    bodies,
    responses,
    maxValueBytes,
    requiresConditions: false,
    databaseUrl: 'postgresql://db/name',
    pagePort: () => undefined,
    onShutdown: undefined,
    log,
    ...parts,
  })
  const koa = createApp({ endpoints, requests, responses, clock, log }).callback()
  const lane = fastLane({ responses, bodies, cache, clock, requests, maxValueBytes, log, otherwise: koa })
  const server = createServer(isFastLaneOn ? lane : koa).listen(0, '127.0.0.1')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  /** Returns the counted requests, as `route outcome source`. */
  const counted = () =>
    [...requests.tallies()]
      .filter(({ count }) => count > 0)
      .map(({ route, outcome, source }) => `${route} ${outcome} ${source}`)
  const client = new JsonClient(`http://127.0.0.1:${port}`)
  return { ...sidecar, client, port, responses, bodies, requests, counted, errors }
}
