import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Config } from '../config/config.js'
import type { LoadedConfig } from '../config/load.js'
import type { Cache } from '../core/cache.js'
import type { KeyWaits } from '../core/changes/key-waits.js'
import type { Clock } from '../core/ports.js'
import type { MemoryUse } from '../core/state/memory-use.js'
import { type Phase, type Readiness, readiness } from '../core/state/readiness.js'
import type { BearerToken } from '../http/access/bearer-token.js'
import type { Page } from '../http/ops/page/page-routes.js'
import type { ShownFinding } from '../http/ops/page/view-data.js'
import { ChangeStreams } from '../http/routes/changes/change-streams.js'
import { RequestBodies } from '../http/server/request-bodies.js'
import type { HttpServer } from '../http/server/server.js'
import { UnreadResponses } from '../http/server/unread-responses.js'
import { KnownBindings } from '../postgres/bindings/known-bindings.js'
import type { PostgresChangeFeed } from '../postgres/feed/feed.js'
import type { FleetMembership } from '../postgres/fleet/fleet-membership.js'
import type { Attempts } from '../postgres/pool/attempts.js'
import { Database } from '../postgres/pool/database.js'
import type { ReadReplicas } from '../postgres/replicas/read-replicas.js'
import { SchemaName } from '../postgres/schema/schema-name.js'
import type { Sweeper } from '../postgres/sweep/sweeper.js'
import type { Tracing } from '../telemetry/opentelemetry/tracing.js'
import { EventLoopDelay } from '../telemetry/prometheus/event-loop-delay.js'
import type { Exposition } from '../telemetry/prometheus/exposition.js'
import { RequestStats } from '../telemetry/request-stats.js'
import type { WarmUp } from '../warm-up/warm-up.js'
import { budgetOf, maxBodyBytes, reconfigurable } from './cache-options.js'
import { createBearerToken } from './create-bearer-token.js'
import { createCache } from './create-cache.js'
import { createChangeFeed } from './create-change-feed.js'
import { createClock } from './create-clock.js'
import { createExposition } from './create-exposition.js'
import { createFleet } from './create-fleet.js'
import { createPage } from './create-page.js'
import { createSweeper } from './create-sweeper.js'
import { createWarmUp } from './create-warm-up.js'
import { dataServer } from './data-server.js'
import { namingSettings } from './listening-error.js'
import { memoryUse } from './memory-use.js'
import { opsServer } from './ops-server.js'
import { shareConnections } from './share-connections.js'
import { runInOrder } from './shutdown-sequence.js'

export interface SidecarOptions {
  /** Version of this program, which the listeners report. */
  readonly version: string
  readonly config: Config
  /** Sources of the settings, for the page. Without them, it shows no settings. */
  readonly settingSources?: LoadedConfig['sources']
  /** Checks the database for the page. Without it, the page shows no findings. */
  readonly inspectDatabase?: (config: Config) => Promise<readonly ShownFinding[]>
  readonly log: Logger
  /** True to apply pending migrations at the first contact with the database. */
  readonly migrate: boolean
  /** Called by `POST /v1/shutdown`; without it there is no such endpoint. */
  readonly onShutdown?: () => void
  /** Tracing; undefined to trace nothing, at no cost. */
  readonly tracing?: Tracing
}

/** Part of the shutdown timeout for requests. Pending writes are sent after them. */
const requestsShare = 0.75
/** A collector that does not answer must not use up the time to shut down. */
const longestTraceFlushMs = 2_000

/** A clock that stands still while the machine is suspended. */
const monotonicClock: Pick<Clock, 'now'> = { now: () => performance.now() }

/** The composition root: all parts of one sidecar. The tests start it, too. */
export class Sidecar {
  readonly #database: Database
  readonly #attempts: Attempts
  readonly #replicas: ReadReplicas | undefined
  readonly #feed: PostgresChangeFeed
  /** Undefined if there is no warm-up. */
  readonly #warmUp: WarmUp | undefined
  readonly #cache: Cache
  readonly #sweeper: Sweeper
  readonly #fleet: FleetMembership
  readonly #waits: KeyWaits
  readonly #changeStreams: ChangeStreams
  readonly #server: HttpServer
  readonly #ops: HttpServer
  /** Undefined if CACHE_UI is off. */
  readonly #page: Page | undefined
  readonly #token: BearerToken | undefined
  readonly #version: string
  #config: Config
  readonly #log: Logger
  readonly #tracing: Tracing | undefined
  readonly #requests = new RequestStats()
  readonly #responses: UnreadResponses
  readonly #bodies: RequestBodies
  readonly #eventLoopDelay = new EventLoopDelay(monotonicClock)
  #phase: Phase = 'starting'
  readonly #queueUsage: () => number | undefined
  #exposition: Promise<Exposition> | undefined
  #closing: Promise<void> | undefined

  constructor(options: SidecarOptions) {
    const { version, config, log, migrate: migratesFirst, onShutdown, tracing } = options
    this.#version = version
    this.#config = config
    this.#log = log
    this.#tracing = tracing
    const clock = createClock(log)
    const database = new Database({
      url: config.databaseUrl,
      poolSize: config.databasePoolSize,
      timeoutMs: config.databaseTimeoutMs,
      log,
      tracer: tracing?.statements,
    })
    this.#database = database
    const schema = new SchemaName(database)
    const bindings = new KnownBindings(config, { database, schema, clock, log })
    const { cache, listing, leasedReads, changedReads, waits, attempts, replicas } = createCache({
      config,
      database,
      schema,
      bindings,
      clock,
      log,
      tracing,
    })
    this.#cache = cache
    this.#waits = waits
    this.#attempts = attempts
    this.#replicas = replicas
    const { feed, queueUsage } = createChangeFeed({
      config,
      migratesFirst,
      database,
      bindings,
      schema,
      clock,
      log,
    })
    this.#feed = feed
    this.#queueUsage = queueUsage
    this.#warmUp = createWarmUp({
      config,
      limits: () => this.#config,
      cache,
      database,
      schema,
      clock,
      log,
    })
    this.#sweeper = createSweeper({ config, cache, database, schema, clock, log })
    this.#fleet = createFleet({
      version,
      config,
      cache,
      readiness: () => this.#readiness(),
      opsPort: () => this.opsPort,
      database,
      schema,
      clock,
      log,
    })
    this.#token = createBearerToken(config, log)
    this.#responses = new UnreadResponses(budgetOf(config).responses)
    this.#bodies = new RequestBodies(maxBodyBytes(config))
    this.#changeStreams = new ChangeStreams({
      following: cache.following,
      responses: this.#responses,
      clock,
      maxStalenessMs: config.maxStalenessMs,
    })
    const connections = shareConnections(config, log)
    this.#server = dataServer({
      version,
      config,
      maxConnections: connections.data,
      limits: () => this.#config,
      cache,
      listing,
      leasedReads,
      changedReads,
      changeStreams: this.#changeStreams,
      attempts: () => attempts.status(),
      expiredRowsRemoved: () => this.#sweeper.removedRows,
      token: this.#token,
      requests: this.#requests,
      responses: this.#responses,
      bodies: this.#bodies,
      memory: () => this.#memoryUse(),
      pagePort: () => (config.hasPage ? this.opsPort : undefined),
      onShutdown,
      tracing,
      clock,
      log,
    })
    this.#page = createPage({
      version,
      config: () => this.#config,
      settingSources: options.settingSources,
      inspectDatabase: options.inspectDatabase,
      cache,
      listing,
      fleet: this.#fleet,
      opsPort: () => this.opsPort,
      readiness: () => this.#readiness(),
      memory: () => this.#memoryUse(),
      requests: this.#requests,
      eventLoopDelay: this.#eventLoopDelay.seconds,
      database,
      schema,
      feed,
      bindings,
      attempts,
      token: this.#token,
      isServing: () => this.#phase === 'serving',
      bodies: this.#bodies,
      clock,
      log,
    })
    this.#ops = opsServer({
      config,
      page: this.#page,
      maxConnections: connections.ops,
      status: () => cache.status(),
      readiness: () => this.#readiness(),
      metrics: () => this.#metrics(),
      isStarted: () => this.#phase !== 'starting',
      clock,
      log,
    })
  }

  /** Port of the data listener; 0 for a Unix socket. */
  get port(): number {
    return this.#server.port
  }

  get opsPort(): number {
    return this.#ops.port
  }

  /**
   * Starts the sidecar. Resolves when requests are answered, which is after the first attempt to reach the database,
   * successful or not. Probes are answered before. Rejects if a port is taken, or if the API token cannot be read.
   */
  async start(): Promise<void> {
    await this.#token?.start()
    await this.#ops.listen().catch(namingSettings({ host: 'OPS_HOST', port: 'OPS_PORT' }))
    this.#log.info({ host: this.#config.opsHost, port: this.opsPort }, 'answering probes')
    this.#eventLoopDelay.start()
    this.#page?.live.start()
    const handler = this.#warmUp?.follow(this.#cache) ?? this.#cache
    const connected = this.#closing === undefined ? this.#feed.start(handler) : undefined
    // Loads the code while waiting for the database. Otherwise loading it would delay a request.
    this.#metrics().catch(() => undefined)
    await connected
    if (this.#closing === undefined)
      await this.#server
        .listen()
        .catch(
          namingSettings(
            this.#config.socket === undefined ? { host: 'HOST', port: 'PORT' } : { socket: 'CACHE_SOCKET' },
          ),
        )
    if (this.#closing !== undefined) return
    this.#phase = 'serving'
    this.#sweeper.start()
    this.#fleet.start()
  }

  /** Applies settings that can change while the sidecar runs. The others must be unchanged. */
  reconfigure(config: Config): void {
    this.#config = config
    this.#log.level = config.logLevel
    this.#cache.reconfigure(reconfigurable(config))
    this.#sweeper.reconfigure({ intervalMs: config.sweepIntervalMs })
    this.#fleet.reconfigure({ intervalMs: config.fleetIntervalMs })
  }

  #readiness(): Readiness {
    const { maxStalenessMs, onFeedLoss, readyGraceMs: graceMs } = this.#config
    const phase = this.#phase === 'serving' && this.#warmUp?.isOver === false ? 'warming' : this.#phase
    return readiness(phase, this.#cache.status(), { maxStalenessMs, onFeedLoss, graceMs })
  }

  #memoryUse(): MemoryUse {
    return memoryUse({
      config: this.#config,
      status: this.#cache.status(),
      responses: this.#responses,
      bodies: this.#bodies,
    })
  }

  #metrics(): Promise<Exposition> {
    this.#exposition ??= createExposition({
      version: this.#version,
      status: () => this.#cache.status(),
      readiness: () => this.#readiness(),
      limits: () => this.#config,
      memory: () => this.#memoryUse(),
      requests: this.#requests,
      closedConnections: () => this.#server.closedConnections,
      pool: () => this.#database.use(),
      attempts: () => this.#attempts.status(),
      errorCounts: () => this.#database.errorCounts,
      queueUsage: this.#queueUsage,
      expiredRowsRemoved: () => this.#sweeper.removedRows,
      drains: () => this.#feed.drains,
      changeStreams: () => this.#changeStreams.counts,
      eventLoopDelay: this.#eventLoopDelay.seconds,
    })
    return this.#exposition
  }

  /**
   * Shuts down: unready at once, serving for the delay, then finishing the requests in flight, sending pending writes,
   * and closing everything. Unfinished requests are cut off and logged after the timeout. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { shutdownDelayMs, shutdownTimeoutMs } = this.#config
    const wasServing = this.#phase === 'serving'
    this.#phase = 'stopping'
    this.#warmUp?.stop()
    if (wasServing) await sleep(shutdownDelayMs)
    const requests = async () => {
      this.#waits.close()
      this.#changeStreams.close()
      const cut = await this.#server.close(shutdownTimeoutMs * requestsShare)
      await this.#page?.writes?.finished()
      if (cut > 0) this.#log.warn({ connections: cut }, 'requests were cut off: not finished in time')
    }
    try {
      await runInOrder(
        {
          requests,
          'pending writes': () => this.#cache.close(),
          'hot keys': () => this.#warmUp?.close(),
          sweep: () => this.#sweeper.close(),
          fleet: () => this.#fleet.close(),
          'change feed': () => this.#feed.close(),
          'database connections': () => Promise.all([this.#database.close(), this.#replicas?.close()]),
          traces: () => this.#tracing?.close(longestTraceFlushMs),
        },
        shutdownTimeoutMs,
        (unfinished) => {
          const { pendingWrites } = this.#cache.status()
          this.#log.warn({ unfinished, pendingWrites }, 'not closed within CACHE_SHUTDOWN_TIMEOUT_MS')
        },
      )
    } finally {
      this.#token?.close()
      this.#eventLoopDelay.close()
      this.#page?.live.close()
      await this.#ops.close(0)
    }
  }
}
