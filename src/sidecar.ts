import type { Logger } from 'pino'
import { type Config, redactUrl } from './config.js'
import { Cache } from './core/cache.js'
import type { Clock } from './core/ports.js'
import { createApp } from './http/app.js'
import { fastLane } from './http/fast-lane.js'
import { HttpServer } from './http/server.js'
import { Database } from './postgres/database.js'
import { PostgresChangeFeed } from './postgres/feed.js'
import { migrate } from './postgres/migrate.js'
import { inspectSchema } from './postgres/schema.js'
import { PostgresStore } from './postgres/store.js'

export interface SidecarOptions {
  readonly config: Config
  readonly log: Logger
  /** Apply pending migrations at the first contact with the database. */
  readonly migrate: boolean
}

const clock: Clock = { now: () => performance.now(), defer: setImmediate }

/** All parts of one sidecar, put together. The tests start the same thing. */
export class Sidecar {
  readonly #database: Database
  readonly #feed: PostgresChangeFeed
  readonly #cache: Cache
  readonly #server: HttpServer
  #closing: Promise<void> | undefined

  constructor({ config, log, migrate: migrateFirst }: SidecarOptions) {
    this.#database = new Database({
      url: config.databaseUrl,
      poolSize: config.databasePoolSize,
      timeoutMs: config.databaseTimeoutMs,
      log,
    })
    this.#cache = new Cache(
      {
        capacity: config.capacity,
        maxBytes: config.maxBytes,
        ttlMs: config.ttlSeconds === 0 ? Number.POSITIVE_INFINITY : config.ttlSeconds * 1_000,
        maxStalenessMs: config.maxStalenessMs,
        onFeedLoss: config.onFeedLoss,
        onWriteOutage: config.onWriteOutage,
        maxStatements: config.databasePoolSize,
        maxWaitMs: config.databaseTimeoutMs,
      },
      { store: new PostgresStore(this.#database), clock, log },
    )
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
          const { queueUsage, ...announcer } = await inspectSchema(this.#database)
          if (queueUsage > 0.5)
            log.warn({ queueUsage }, 'the notification queue is filling up: a listener is stuck')
          return announcer
        },
      },
    )
    const app = createApp({
      cache: this.#cache,
      capacity: config.capacity,
      ttlSeconds: config.ttlSeconds,
      maxValueBytes: config.maxValueBytes,
      databaseUrl: redactUrl(config.databaseUrl),
      log,
    })
    const listener = fastLane({ cache: this.#cache, clock, log, otherwise: app.callback() })
    this.#server = new HttpServer({ host: config.host, port: config.port, listener })
  }

  get port(): number {
    return this.#server.port
  }

  /**
   * Resolves when requests are answered: after the first attempt to reach the database, whatever came of
   * it. Rejects when the port cannot be had.
   */
  async start(): Promise<void> {
    await this.#feed.start(this.#cache)
    if (this.#closing === undefined) await this.#server.listen()
  }

  /** Finishes what is in flight, sends what is kept, closes everything. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#server.close()
    await this.#cache.close()
    await this.#feed.close()
    await this.#database.close()
  }
}
