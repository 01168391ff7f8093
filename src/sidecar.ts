import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Config } from './config/config.js'
import { readApiToken } from './config/read-api-token.js'
import { redactUrl } from './config/redact-url.js'
import { Cache, type CacheOptions, type CacheParts, type Reconfigurable } from './core/cache.js'
import type { Clock } from './core/ports.js'
import { type Phase, type Readiness, readiness } from './core/readiness.js'
import { allowedHosts } from './http/allowed-hosts.js'
import { createApp } from './http/app.js'
import { BearerToken } from './http/bearer-token.js'
import { dataLimits, opsLimits } from './http/connection-limits.js'
import { doorkeeper } from './http/doorkeeper.js'
import { fastLane } from './http/fast-lane.js'
import { opsListener } from './http/ops-listener.js'
import { RequestStats } from './http/request-stats.js'
import { HttpServer } from './http/server.js'
import type { Tracing } from './opentelemetry/tracing.js'
import { Attempts } from './postgres/attempts.js'
import { Database } from './postgres/database.js'
import { PostgresChangeFeed } from './postgres/feed.js'
import { migrate } from './postgres/migrate.js'
import { ReadReplicas, type ReadReplicasParts } from './postgres/read-replicas.js'
import { inspectSchema } from './postgres/schema.js'
import { PostgresStore } from './postgres/store.js'
import { EventLoopDelay } from './prometheus/event-loop-delay.js'
import type { Exposition } from './prometheus/exposition.js'

export interface SidecarOptions {
  readonly config: Config
  readonly log: Logger
  /** Apply pending migrations at the first contact with the database. */
  readonly migrate: boolean
  /** Called by `POST /v1/shutdown`; without it there is no such endpoint. */
  readonly onShutdown?: () => void
  /** Without it there are no traces, and they cost nothing. */
  readonly tracing?: Tracing
}

/** How long an idle connection of an app stays open while closing. A probe or a scrape can be asked again. */
const idleGraceMs = 500
/** The part of the time to shut down that requests have: what is kept has to be sent after them. */
const requestsShare = 0.75

/** The part of the time for a statement that a replica has: the primary may have to be asked after it. */
const replicaShare = 0.25

/** How soon a token that was replaced in its file holds. */
const tokenRereadMs = 10_000
/** A collector that does not answer must not use up the time to shut down. */
const longestTraceFlushMs = 2_000

const clock: Clock = { now: () => performance.now(), defer: setImmediate }

/** All parts of one sidecar, put together. The tests start the same thing. */
export class Sidecar {
  readonly #database: Database
  readonly #attempts: Attempts
  readonly #replicas: ReadReplicas | undefined
  readonly #feed: PostgresChangeFeed
  readonly #cache: Cache
  readonly #server: HttpServer
  readonly #ops: HttpServer
  readonly #token: BearerToken | undefined
  #config: Config
  readonly #log: Logger
  readonly #tracing: Tracing | undefined
  readonly #requests = new RequestStats()
  readonly #eventLoopDelay = new EventLoopDelay(clock)
  #phase: Phase = 'starting'
  /** Undefined while it is not known. */
  #queueUsage: number | undefined
  #exposition: Promise<Exposition> | undefined
  #closing: Promise<void> | undefined

  constructor({ config, log, migrate: migrateFirst, onShutdown, tracing }: SidecarOptions) {
    this.#config = config
    this.#log = log
    this.#tracing = tracing
    this.#database = new Database({
      url: config.databaseUrl,
      poolSize: config.databasePoolSize,
      timeoutMs: config.databaseTimeoutMs,
      log,
      tracer: tracing?.statements,
    })
    this.#replicas = readReplicas(config, { primary: this.#database, clock, log }, tracing)
    this.#attempts = new Attempts({ clock, log, timeoutMs: config.databaseTimeoutMs })
    const options: CacheOptions = {
      ...reconfigurable(config),
      maxStalenessMs: config.maxStalenessMs,
      onFeedLoss: config.onFeedLoss,
      onWriteOutage: config.onWriteOutage,
      maxStatements: config.databasePoolSize,
      maxWaitMs: config.databaseTimeoutMs,
    }
    const parts: CacheParts = {
      store: new PostgresStore(this.#database, this.#attempts),
      replica: this.#replicas,
      clock,
      log,
      tracer: tracing?.batches,
    }
    this.#cache = tracing ? tracing.newCache(options, parts) : new Cache(options, parts)
    let migrated = !migrateFirst
    this.#feed = new PostgresChangeFeed(
      { url: config.databaseListenUrl, maxStalenessMs: config.maxStalenessMs },
      {
        database: this.#database,
        clock,
        log,
        prepare: async () => {
          if (!migrated) {
            const applied = await migrate(config.databaseListenUrl)
            if (applied.length > 0) log.info({ applied }, 'migrations applied')
            migrated = true
          }
          this.#queueUsage = undefined
          const { queueUsage, ...announcer } = await inspectSchema(this.#database)
          this.#queueUsage = queueUsage
          if (queueUsage > 0.5)
            log.warn({ queueUsage }, 'the notification queue is filling up: a listener is stuck')
          return announcer
        },
      },
    )
    this.#token = apiToken(config, log)
    const app = createApp({
      cache: this.#cache,
      limits: () => this.#config,
      maxValueBytes: config.maxValueBytes,
      databaseUrl: redactUrl(config.databaseUrl),
      attempts: () => this.#attempts.status(),
      onShutdown,
      requests: this.#requests,
      clock,
      log,
    })
    const listener = fastLane({
      cache: this.#cache,
      clock,
      requests: this.#requests,
      maxValueBytes: config.maxValueBytes,
      log,
      otherwise: app.callback(),
    })
    const { host, port, socket: socketPath, maxConnections } = config
    this.#server = new HttpServer({
      address: socketPath === undefined ? { host, port } : { socketPath },
      limits: { ...dataLimits, maxConnections },
      idleGraceMs,
      listener: doorkeeper({
        isMeantForUs: allowedHosts(['localhost', host, ...config.allowedHosts]),
        token: this.#token,
        requests: this.#requests,
        listener: tracing ? tracing.requests(listener) : listener,
      }),
    })
    this.#ops = new HttpServer({
      address: { host: config.opsHost, port: config.opsPort },
      limits: opsLimits,
      idleGraceMs: 0,
      listener: opsListener({
        status: () => this.#cache.status(),
        readiness: () => this.#readiness(),
        metrics: () => this.#metrics(),
        isStarted: () => this.#phase !== 'starting',
        log,
      }),
    })
  }

  /** Of the data listener; 0 when it is a Unix socket. */
  get port(): number {
    return this.#server.port
  }

  get opsPort(): number {
    return this.#ops.port
  }

  /**
   * Resolves when requests are answered: after the first attempt to reach the database, whatever came of
   * it. Probes are answered before that. Rejects when a port or the API token cannot be had.
   */
  async start(): Promise<void> {
    await this.#token?.start()
    await this.#ops.listen()
    this.#log.info({ host: this.#config.opsHost, port: this.opsPort }, 'answering probes')
    this.#eventLoopDelay.start()
    const connected = this.#closing === undefined ? this.#feed.start(this.#cache) : undefined
    // While the database is waited for: reading that code would otherwise hold up a request.
    this.#metrics().catch(() => undefined)
    await connected
    if (this.#closing === undefined) await this.#server.listen()
    if (this.#closing === undefined) this.#phase = 'serving'
  }

  /** Takes what can change while it runs: the settings as they were, but for those that reload. */
  reconfigure(config: Config): void {
    this.#config = config
    this.#log.level = config.logLevel
    this.#cache.reconfigure(reconfigurable(config))
  }

  #readiness(): Readiness {
    const { maxStalenessMs, onFeedLoss, readyGraceMs: graceMs } = this.#config
    return readiness(this.#phase, this.#cache.status(), { maxStalenessMs, onFeedLoss, graceMs })
  }

  #metrics(): Promise<Exposition> {
    this.#exposition ??= Promise.all([
      import('./prometheus/exposition.js'),
      import('./prometheus/metrics.js'),
    ]).then(([{ Exposition }, { metricsOf }]) => {
      const metrics = metricsOf({
        status: () => this.#cache.status(),
        readiness: () => this.#readiness(),
        limits: () => this.#config,
        requests: this.#requests,
        refusedConnections: () => this.#server.refusedConnections,
        pool: () => this.#database.use(),
        attempts: () => this.#attempts.status(),
        queueUsage: () => this.#queueUsage,
        eventLoopDelay: this.#eventLoopDelay.seconds,
      })
      return new Exposition(metrics)
    })
    return this.#exposition
  }

  /**
   * Is unready at once, serves on for the delay, then finishes what is in flight, sends what is kept and closes
   * everything; what is not finished in time is cut off and logged. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { shutdownDelayMs, shutdownTimeoutMs } = this.#config
    const wasServing = this.#phase === 'serving'
    this.#phase = 'stopping'
    if (wasServing) await sleep(shutdownDelayMs)
    let unfinished = 'requests'
    const inTime = new AbortController()
    const late = sleep(shutdownTimeoutMs, undefined, { signal: inTime.signal }).then(
      () => {
        const { keptWrites } = this.#cache.status()
        this.#log.warn({ unfinished, keptWrites }, 'not closed within CACHE_SHUTDOWN_TIMEOUT_MS')
      },
      () => undefined,
    )
    const finish = async () => {
      const cut = await this.#server.close(shutdownTimeoutMs * requestsShare)
      if (cut > 0) this.#log.warn({ connections: cut }, 'requests were cut off: not finished in time')
      unfinished = 'kept writes'
      await this.#cache.close()
      unfinished = 'change feed'
      await this.#feed.close()
      unfinished = 'database connections'
      await Promise.all([this.#database.close(), this.#replicas?.close()])
      unfinished = 'traces'
      await this.#tracing?.close(longestTraceFlushMs)
    }
    try {
      await Promise.race([finish(), late])
    } finally {
      inTime.abort()
      this.#token?.close()
      this.#eventLoopDelay.close()
      await this.#ops.close(0)
    }
  }
}

function readReplicas(
  { databaseReadUrls, databasePoolSize: poolSize, databaseTimeoutMs }: Config,
  parts: Pick<ReadReplicasParts, 'primary' | 'clock' | 'log'>,
  tracing: Tracing | undefined,
): ReadReplicas | undefined {
  if (databaseReadUrls.length === 0) return undefined
  const timeoutMs = Math.ceil(databaseTimeoutMs * replicaShare)
  const replicas = databaseReadUrls.map(
    (url) => new Database({ url, poolSize, timeoutMs, log: parts.log, tracer: tracing?.statements }),
  )
  return new ReadReplicas({ ...parts, replicas })
}

function apiToken(config: Config, log: Logger): BearerToken | undefined {
  if (config.apiToken === undefined && config.apiTokenFile === undefined) return undefined
  return new BearerToken({
    read: async () => (await readApiToken(config)) as string,
    rereadMs: config.apiTokenFile === undefined ? undefined : tokenRereadMs,
    log,
  })
}

function reconfigurable(config: Config): Reconfigurable {
  const { capacity, maxBytes, ttlSeconds, ttlRules, ttlJitter, ttlMode } = config
  return {
    capacity,
    maxBytes,
    ttlMs: ttlMs(ttlSeconds),
    ttlRules: ttlRules.map(({ prefix, seconds }) => ({ prefix, ttlMs: ttlMs(seconds) })),
    ttlJitter,
    ttlMode,
  }
}

function ttlMs(seconds: number): number {
  return seconds === 0 ? Number.POSITIVE_INFINITY : seconds * 1_000
}
