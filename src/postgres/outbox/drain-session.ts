import type pg from 'pg'
import type { Epoch } from '../../core/entry.js'
import type { Clock } from '../../core/ports.js'
import { newClient } from '../pool/connection.js'
import { type DrainedTable, type DrainRow, drainIn, mappingName } from './drain-statement.js'

export interface DrainSessionOptions {
  /** URL that leads directly to the server. */
  readonly url: string
  readonly table: DrainedTable
  /** Time that a drain may take that runs mappings, in ms; 0 for no limit. */
  readonly limitMs: number
  /** Called with the name of a mapping that has not ended in that time; undefined if another part of a drain has not. */
  readonly onLate?: (mapping: string | undefined) => void
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
/** Time for which a mapping is not run after it was too slow. */
const unrunMs = 30_000
const queryCanceled = '57014'

/**
 * Plans through the index, and reads the table from its start, so that all drains delete in the same order. A setting
 * of the role or the database must not make a drain fail where it should wait for another one.
 */
const settings = `
  set enable_seqscan = off; set synchronize_seqscans = off; set idle_session_timeout = 0; set lock_timeout = 0; set default_transaction_isolation = 'read committed'`

/**
 * One connection that drains the outbox, until it is lost. It is not that of the change feed: a drain waits for others
 * and for a large outbox, and probes must not. It is none of the pool, because a busy pool must not cost the lease.
 *
 * A mapping is a query of the application, and may take as long as it likes, or wait for a lock. It would hold up the
 * changes of all bindings. So a drain that runs mappings has a time limit. If it is not over by then, it is rolled back,
 * and everything that it has seen is still in the outbox. The next one runs no mapping. It announces any key of their
 * bindings, and has no limit, because it may have to wait for another drain, or delete many rows. After that, only the
 * mapping that was too slow is not run, for half a minute.
 */
export class DrainSession {
  readonly #options: DrainSessionOptions
  readonly #clock: Pick<Clock, 'now'>
  readonly #client: pg.Client
  #since: string | undefined
  /** Mappings that were too slow, with the moment until which they are not run. */
  readonly #unrunUntilMs = new Map<string, number>()

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
      await session.#limit(options.limitMs)
      return session
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  /** Deletes and announces what is in the outbox. Rejects if that fails; the session must be destroyed then. */
  async drain(): Promise<Drained> {
    const nowMs = this.#clock.now()
    for (const [mapping, untilMs] of this.#unrunUntilMs)
      if (untilMs <= nowMs) this.#unrunUntilMs.delete(mapping)
    try {
      return await this.#send([...this.#unrunUntilMs.keys()])
    } catch (error) {
      const { code, where = '' } = error as pg.DatabaseError
      if (code !== queryCanceled) throw error
      const mapping = where.match(mappingName)?.[0]
      if (mapping !== undefined) this.#unrunUntilMs.set(mapping, this.#clock.now() + unrunMs)
      this.#options.onLate?.(mapping)
      await this.#limit(0)
      const drained = await this.#send(null)
      await this.#limit(this.#options.limitMs)
      return drained
    }
  }

  /** @param unrun names of mappings that are not run; null for all of them */
  async #send(unrun: readonly string[] | null): Promise<Drained> {
    const { table } = this.#options
    const sentMs = this.#clock.now()
    const { rows } = await (this.#since === undefined
      ? this.#client.query<DrainRow>(drainIn(table, '$1::text[]'), [unrun])
      : this.#client.query<DrainRow>({
          name: 'drain',
          text: drainIn(table, '$1::text[]', '$2::pg_snapshot'),
          values: [unrun, this.#since],
        }))
    const [row] = rows
    if (row === undefined) throw new Error('the drain returned no row')
    // Only now: what a drain has seen that failed is still there.
    this.#since = row.snapshot
    return { sentMs, epoch: row.epoch, rows: row.rows }
  }

  async #limit(ms: number): Promise<void> {
    await this.#client.query(`set statement_timeout = ${ms}`)
  }

  /** Closes the connection immediately, in any state. */
  destroy(): void {
    const { connection } = this.#client as pg.Client & { readonly connection: pg.Connection }
    connection.stream.destroy()
  }
}
