import pg from 'pg'
import type { Log } from '../core/ports.js'
import { connectFailed, isStatementError, messageOf, statementFailed } from './errors.js'

export interface DatabaseOptions {
  readonly url: string
  /** Most connections open at once. */
  readonly poolSize: number
  /** How long a request may wait for a connection, and again for its statement. */
  readonly timeoutMs: number
  readonly log: Log
}

/** How much longer the client waits than the server: the server's own timeout says what happened. */
const clientGraceMs = 500

/** The connection pool. Every wait has a bound, and every failure is a CacheError. */
export class Database {
  readonly #options: DatabaseOptions
  #pool: pg.Pool

  constructor(options: DatabaseOptions) {
    this.#options = options
    this.#pool = this.#newPool()
  }

  /** For statements that change nothing. */
  read<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    return this.#run('read', text, values)
  }

  /** For a single statement that commits by itself. Rejects with `outcome-unknown` as P3 says. */
  write<Row extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<Row[]> {
    return this.#run('write', text, values)
  }

  /** From now on new connections only: those there are may lead to a server that is no longer the primary. */
  renew(): void {
    const old = this.#pool
    this.#pool = this.#newPool()
    old.end().catch(() => undefined)
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  async #run<Row extends pg.QueryResultRow>(
    kind: 'read' | 'write',
    text: string,
    values: unknown[],
  ): Promise<Row[]> {
    const client = await this.#pool.connect().catch((error: unknown) => {
      throw connectFailed(error)
    })
    try {
      const { rows } = await client.query<Row>(text, values)
      client.release()
      return rows
    } catch (error) {
      // After anything but an error of the statement itself, what the connection sends next is anyone's guess.
      client.release(!isStatementError(error))
      throw statementFailed(error, kind)
    }
  }

  #newPool(): pg.Pool {
    const { url, poolSize, timeoutMs, log } = this.#options
    const pool = new pg.Pool({
      connectionString: url,
      application_name: 'caching-layer',
      max: poolSize,
      keepAlive: true,
      connectionTimeoutMillis: timeoutMs,
      idleTimeoutMillis: 10_000,
      statement_timeout: timeoutMs,
      // A locked row should cost the writes that share its statement less than their whole time.
      lock_timeout: Math.ceil(timeoutMs / 4),
      query_timeout: timeoutMs + clientGraceMs,
    })
    pool.on('error', (error) =>
      log.info({ reason: messageOf(error) }, 'an idle database connection was lost'),
    )
    return pool
  }
}
