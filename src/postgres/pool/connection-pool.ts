import pg from 'pg'
import type { Log } from '../../core/ports.js'
import { clientClass } from './connection.js'
import { connectFailed, messageOf, refusesSettings } from './errors.js'

export interface ConnectionPoolOptions {
  readonly url: string
  /** Maximum number of open connections. */
  readonly poolSize: number
  /** Time that a request may wait for a connection, and again for its statement. */
  readonly timeoutMs: number
  readonly log: Log
}

/** Usage of the pool's connections. */
export interface PoolUse {
  /** Number of connections in use, or being established. */
  readonly busy: number
  readonly idle: number
  /** Number of statements that wait for a connection. */
  readonly waiting: number
  readonly size: number
}

/**
 * Time by which the client's timeout exceeds the server's. The server's timeout comes first, because it says what
 * happened.
 */
const clientGraceMs = 500

/**
 * Returns a tenth of the timeout. Finding one locked row among 500 can take nine lock timeouts, which must fit in it.
 */
function lockTimeoutMs(timeoutMs: number): number {
  return Math.ceil(timeoutMs / 10)
}

/** A pool of connections that can be replaced by a new one. */
export class ConnectionPool {
  readonly #options: ConnectionPoolOptions
  #pool: pg.Pool
  /** True if a pooler refuses startup settings. */
  #isBare = false

  constructor(options: ConnectionPoolOptions) {
    this.#options = options
    this.#pool = createPool(options, this.#isBare)
  }

  get use(): PoolUse {
    const { totalCount, idleCount, waitingCount } = this.#pool
    return {
      busy: totalCount - idleCount,
      idle: idleCount,
      waiting: waitingCount,
      size: this.#options.poolSize,
    }
  }

  /** Returns a connection, which the caller must release. Rejects with a CacheError. */
  async connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect()
    } catch (error) {
      if (!refusesSettings(error) || this.#isBare) throw connectFailed(error)
      this.#options.log.warn(
        { reason: messageOf(error) },
        "the pooler refuses statement_timeout and lock_timeout: only the sidecar's own timeouts apply",
      )
      this.#isBare = true
      this.renew()
      return this.connect()
    }
  }

  /** Replaces all connections: those that exist may lead to a server that is no longer the primary. */
  renew(): void {
    const old = this.#pool
    this.#pool = createPool(this.#options, this.#isBare)
    // `end()` would leave statements that wait for a connection waiting forever.
    const endOnceNobodyWaits = () => {
      if (old.waitingCount === 0) old.end().catch(() => undefined)
    }
    if (old.waitingCount > 0) old.on('release', endOnceNobodyWaits)
    else endOnceNobodyWaits()
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }
}

/**
 * Creates a pool. Set `isBare` to open connections without startup settings, which a pooler may refuse. Then only the
 * client's timeouts apply.
 */
function createPool({ url, poolSize, timeoutMs, log }: ConnectionPoolOptions, isBare: boolean): pg.Pool {
  const pool = new pg.Pool({
    Client: clientClass(url),
    application_name: 'caching-layer',
    max: poolSize,
    keepAlive: true,
    connectionTimeoutMillis: timeoutMs,
    idleTimeoutMillis: 10_000,
    ...(!isBare && {
      statement_timeout: timeoutMs,
      lock_timeout: lockTimeoutMs(timeoutMs),
    }),
    query_timeout: timeoutMs + clientGraceMs,
  })
  pool.on('error', (error) => log.info({ reason: messageOf(error) }, 'an idle database connection was lost'))
  return pool
}
