import pg from 'pg'
import type { Log } from '../../core/ports.js'
import { clientClass } from './connection.js'
import { messageOf } from './errors.js'

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

/**
 * Creates a pool. Set `isBare` to open connections without startup settings, which a pooler may refuse. Then only the
 * client's timeouts apply.
 */
export function createPool(
  { url, poolSize, timeoutMs, log }: ConnectionPoolOptions,
  isBare: boolean,
): pg.Pool {
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
