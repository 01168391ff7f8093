import type { Config } from '../config/config.js'
import { redactUrl } from '../connection-url/redact-url.js'
import type { AttemptsStatus } from '../core/breaker.js'
import type { Cache } from '../core/cache.js'
import type { ChangedReads } from '../core/changes/changed-reads.js'
import type { LeasedReads } from '../core/leases/leased-reads.js'
import type { Clock } from '../core/ports.js'
import type { Listing } from '../core/reads/listing.js'
import type { MemoryUse } from '../core/state/memory-use.js'
import { accessGuard } from '../http/access/access-guard.js'
import { allowedHosts } from '../http/access/allowed-hosts.js'
import type { BearerToken } from '../http/access/bearer-token.js'
import type { WarningLog } from '../http/access/rare-warning.js'
import { fastLane } from '../http/fast-lane/fast-lane.js'
import { type AppOptions, createApp } from '../http/routes/app.js'
import type { ChangeStreams } from '../http/routes/changes/change-streams.js'
import { createEndpoints } from '../http/routes/endpoints.js'
import { dataLimits } from '../http/server/connection-limits.js'
import type { RequestBodies } from '../http/server/request-bodies.js'
import { HttpServer } from '../http/server/server.js'
import type { UnreadResponses } from '../http/server/unread-responses.js'
import type { Tracing } from '../telemetry/opentelemetry/tracing.js'
import type { RequestStats } from '../telemetry/request-stats.js'
import { connectionWarnings } from './connection-warnings.js'

export interface DataServerOptions {
  /** Version of this program. */
  readonly version: string
  readonly config: Config
  readonly maxConnections: number
  /** Returns the limits in force. */
  readonly limits: () => Pick<Config, 'capacity' | 'ttlSeconds'>
  readonly cache: Cache
  readonly listing: Listing
  readonly leasedReads: LeasedReads
  readonly changedReads: ChangedReads
  readonly changeStreams: ChangeStreams
  readonly attempts: () => AttemptsStatus
  /** Returns the number of expired rows that this sidecar has removed. */
  readonly expiredRowsRemoved: () => number
  readonly token: BearerToken | undefined
  readonly requests: RequestStats
  readonly responses: UnreadResponses
  readonly bodies: RequestBodies
  readonly memory: () => MemoryUse
  /** Returns the port of the page about this sidecar; undefined if there is none. */
  readonly pagePort: () => number | undefined
  readonly onShutdown: (() => void) | undefined
  readonly tracing: Tracing | undefined
  readonly clock: Clock
  readonly log: AppOptions['log'] & WarningLog
}

/** Time for which an idle connection of an application stays open during the shutdown. */
const idleGraceMs = 500

/** Creates the data listener with everything in front of the cache: access guard, tracing, fast lane, Koa. */
export function dataServer(options: DataServerOptions): HttpServer {
  const { config, limits, cache, listing, attempts, token, requests, onShutdown, tracing, clock, log } =
    options
  const {
    version,
    maxConnections,
    expiredRowsRemoved,
    responses,
    bodies,
    memory,
    pagePort,
    leasedReads,
    changedReads,
    changeStreams,
  } = options
  const { host, port, socket: socketPath, maxValueBytes, requiresConditions } = config
  const warnings = connectionWarnings('data', maxConnections, { clock, log })
  const endpoints = createEndpoints({
    version,
    cache,
    listing,
    leasedReads,
    changedReads,
    changeStreams,
    limits,
    attempts,
    expiredRowsRemoved,
    memory,
    bodies,
    responses,
    maxValueBytes,
    requiresConditions,
    databaseUrl: redactUrl(config.databaseUrl),
    pagePort,
    onShutdown,
    log,
  })
  const koa = createApp({ endpoints, requests, responses, clock, log }).callback()
  const listener = config.isFastLaneOn
    ? fastLane({ responses, bodies, cache, clock, requests, maxValueBytes, log, otherwise: koa })
    : koa
  const paths = endpoints.map(({ path }) => path)
  const server: HttpServer = new HttpServer({
    address: socketPath === undefined ? { host, port } : { socketPath },
    limits: { ...dataLimits, maxConnections },
    idleGraceMs,
    onFull: warnings.onFull,
    onExcess: warnings.onExcess,
    listener: accessGuard({
      hostCheck: allowedHosts(['localhost', host, ...config.allowedHosts]),
      token,
      requests,
      onTurnedAway: (status) => {
        server.closedConnections.turned_away++
        warnings.onTurnedAway(status)
      },
      listener: tracing ? tracing.requests(listener, paths) : listener,
    }),
  })
  return server
}
