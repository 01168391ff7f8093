import type pg from 'pg'
import type { Epoch } from '../../core/entry.js'
import type { Clock } from '../../core/ports.js'
import { newClient } from '../pool/connection.js'
import { type DrainedTable, type DrainRow, drainIn } from './drain-statement.js'

export interface DrainSessionOptions {
  /** URL that leads directly to the server. */
  readonly url: string
  readonly table: DrainedTable
}

export interface Drained {
  /** Moment at which the statement was sent, by the sidecar's monotonic clock, in ms. */
  readonly sentMs: number
  readonly epoch: Epoch
  /** Number of changes that were announced. */
  readonly rows: number
}

const connectTimeoutMs = 3_000
/** A drain of a million rows takes seconds. A connection that is silent for longer is given up. */
const answerTimeoutMs = 30_000

/**
 * Plans through the index, and reads the table from its start, so that all drains delete in the same order. A setting
 * of the role or the database must not make a drain fail where it should wait for another one.
 */
const settings = `
  set enable_seqscan = off; set synchronize_seqscans = off; set idle_session_timeout = 0; set statement_timeout = 0;
  set lock_timeout = 0; set default_transaction_isolation = 'read committed'`

/**
 * One connection that drains the outbox, until it is lost. It is not that of the change feed: a drain waits for others
 * and for a large outbox, and probes must not. It is none of the pool, because a busy pool must not cost the lease.
 */
export class DrainSession {
  readonly #options: DrainSessionOptions
  readonly #clock: Pick<Clock, 'now'>
  readonly #client: pg.Client
  #since: string | undefined

  private constructor(options: DrainSessionOptions, clock: Pick<Clock, 'now'>, client: pg.Client) {
    this.#options = options
    this.#clock = clock
    this.#client = client
  }

  /** Connects. Rejects if that fails. */
  static async open(options: DrainSessionOptions, clock: Pick<Clock, 'now'>): Promise<DrainSession> {
    const client = newClient(options.url, {
      application_name: 'caching-layer outbox',
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: answerTimeoutMs,
      keepAlive: true,
    })
    const session = new DrainSession(options, clock, client)
    try {
      await client.connect()
      await client.query(settings)
      return session
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  /** Deletes and announces what is in the outbox. Rejects if that fails; the session must be destroyed then. */
  async drain(): Promise<Drained> {
    const { table } = this.#options
    const sentMs = this.#clock.now()
    const { rows } = await (this.#since === undefined
      ? this.#client.query<DrainRow>(drainIn(table))
      : this.#client.query<DrainRow>({
          name: 'drain',
          text: drainIn(table, '$1::pg_snapshot'),
          values: [this.#since],
        }))
    const [row] = rows
    if (row === undefined) throw new Error('the drain returned no row')
    // Only now: what a drain has seen that failed is still there.
    this.#since = row.snapshot
    return { sentMs, epoch: row.epoch, rows: row.rows }
  }

  /** Closes the connection immediately, in any state. */
  destroy(): void {
    const { connection } = this.#client as pg.Client & { readonly connection: pg.Connection }
    connection.stream.destroy()
  }
}
