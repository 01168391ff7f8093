import type pg from 'pg'
import { CacheError, type CacheErrorCode } from '../../core/errors.js'
import { openClient } from './connection.js'
import { ConnectionPool, type ConnectionPoolOptions, type PoolUse } from './connection-pool.js'
import { isStatementError, mayBeRepeated, planIsOutdated, statementFailed, wasNotPrepared } from './errors.js'
import { committingFailed, rolledBack, uncommittedFailed } from './failed-statement.js'
import { StatementErrors } from './statement-errors.js'
import { StatementNames } from './statement-names.js'

export interface DatabaseOptions extends ConnectionPoolOptions {
  readonly tracer?: StatementTracer | undefined
}

/**
 * Begins a transaction. If its client is gone, the server ends the transaction after 5 s, so that its locks are not
 * held until the server notices a dead connection. `array_nulls = on` makes nulls in arrays nulls, even if another
 * client of a pooler has set it to off.
 */
const begin = "begin; set local idle_in_transaction_session_timeout = '5s'; set local array_nulls = on; "

export interface TransactionTexts {
  /** Statement that returns the id of the transaction, and the epoch. */
  readonly transactionId: string
  readonly statement: string
  readonly onId: (id: string, epoch: string) => void
}

/** Observes each statement that is sent, for tracing. */
export interface StatementTracer {
  statement<T>(text: string, run: () => Promise<T>): Promise<T>
}

/** Runs a statement in the transaction of a snapshot. */
export type SnapshotRead = <Row extends pg.QueryResultRow>(text: string, values: unknown[]) => Promise<Row[]>

/** Statements over a pool of connections. Every wait is bounded, and every failure is a CacheError. */
export class Database {
  readonly #options: DatabaseOptions
  readonly #errors: StatementErrors
  readonly #pool: ConnectionPool
  readonly #names = new StatementNames()

  constructor(options: DatabaseOptions) {
    this.#options = options
    this.#errors = new StatementErrors(options.log)
    this.#pool = new ConnectionPool(options)
  }

  /** Runs a statement that changes nothing. The server ends it after `withinMs`, or after the usual timeout. */
  read<Row extends pg.QueryResultRow>(
    text: string,
    values: unknown[] = [],
    withinMs?: number,
  ): Promise<Row[]> {
    return this.#traced('read', text, values, withinMs)
  }

  /**
   * Runs a single statement that commits by itself. Rejects with `outcome-unknown` if the connection is lost before the
   * commit is confirmed (P3).
   */
  write<Row extends pg.QueryResultRow>(text: string, values: unknown[], withinMs?: number): Promise<Row[]> {
    return this.#traced('write', text, values, withinMs)
  }

  /** Opens a new connection to the server. Resolves if the server answers. */
  async ping(): Promise<void> {
    const { url, timeoutMs } = this.#options
    const client = await openClient(url, {
      application_name: 'caching-layer ping',
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
    })
    try {
      await client.query('select')
    } finally {
      // Not awaited: an unreachable server does not answer.
      client.end().catch(() => undefined)
    }
  }

  /**
   * Runs a statement in a transaction of its own, and calls `onId` before it. Rejects with `outcome-unknown` only if
   * the connection is lost while the transaction commits: before that, nothing has happened.
   */
  transaction<Row extends pg.QueryResultRow>(
    { transactionId, statement, onId }: TransactionTexts,
    values: unknown[],
  ): Promise<Row[]> {
    const onBegun = (begun: pg.QueryResultRow | undefined) => {
      if (begun) onId(String(begun.id), String(begun.epoch))
    }
    return this.#inTransaction<Row>(transactionId, statement, values, { onBegun })
  }

  /**
   * Runs a statement in a transaction of its own, and commits it if `commits` returns true for its rows. Otherwise
   * nothing has happened. Rejects with `outcome-unknown` only if the connection is lost while the transaction commits.
   */
  decide<Row extends pg.QueryResultRow>(
    statement: string,
    values: unknown[],
    commits: (rows: readonly Row[]) => boolean,
    withinMs: number,
  ): Promise<Row[]> {
    // Such a statement is not split, so it waits for locked rows as long as for anything else.
    const limits = `set local statement_timeout = ${withinMs}; set local lock_timeout = ${withinMs}`
    // Deferred constraints are checked by the statement, so that an error is one of its rows even if it is rolled back.
    return this.#inTransaction<Row>(
      `set transaction isolation level read committed; ${limits}; set constraints all immediate`,
      statement,
      values,
      {
        commits,
      },
    )
  }

  /** Calls `run`, all of whose statements read one snapshot. Each of them is ended like that of `read`. */
  async snapshot<T>(run: (read: SnapshotRead) => Promise<T>, withinMs?: number): Promise<T> {
    const client = await this.#connect()
    try {
      const limit = withinMs === undefined ? '' : `set local statement_timeout = ${withinMs}`
      await client.query(`${begin} set transaction isolation level repeatable read, read only; ${limit}`)
      const result = await run(async (text, values) => {
        try {
          return (await client.query(text, values)).rows
        } catch (error) {
          throw statementFailed(error, 'read')
        }
      })
      await client.query('commit')
      client.release()
      return result
    } catch (error) {
      const failure = error instanceof CacheError ? error : statementFailed(error, 'read')
      client.release(!(await rolledBack(failure, client)))
      this.#errors.add(failure)
      throw failure
    }
  }

  /** Runs `first` and then `statement` in one transaction. `onBegun` receives the first row that `first` returns. */
  async #inTransaction<Row extends pg.QueryResultRow>(
    first: string,
    statement: string,
    values: unknown[],
    {
      onBegun = () => undefined,
      commits = () => true,
    }: {
      readonly onBegun?: (row: pg.QueryResultRow | undefined) => void
      readonly commits?: (rows: readonly Row[]) => boolean
    } = {},
  ): Promise<Row[]> {
    const client = await this.#connect()
    let isCommitting = false
    try {
      const results = (await client.query(begin + first)) as unknown as pg.QueryResult[]
      onBegun(results.at(-1)?.rows[0])
      const { rows } = await client.query<Row>(statement, values)
      isCommitting = commits(rows)
      await client.query(isCommitting ? 'commit' : 'rollback')
      client.release()
      return rows
    } catch (error) {
      const { failure, isUsable } = await (isCommitting
        ? committingFailed(error, client)
        : uncommittedFailed(error, client))
      client.release(!isUsable)
      this.#errors.add(failure)
      if (failure.code === 'queue-full') this.#advanceQueue()
      throw failure
    }
  }

  /** Number of statements that the database has answered with an error, by error code. */
  get errorCounts(): ReadonlyMap<CacheErrorCode, number> {
    return this.#errors.counts
  }

  use(): PoolUse {
    return this.#pool.use
  }

  /** Replaces all connections by new ones. */
  renew(): void {
    this.#pool.renew()
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  #traced<Row extends pg.QueryResultRow>(
    kind: 'read' | 'write',
    text: string,
    values: unknown[],
    withinMs: number | undefined,
  ): Promise<Row[]> {
    const run = () =>
      withinMs === undefined
        ? this.#run<Row>(kind, text, values)
        : this.#inTransaction<Row>(
            // Removing entries needs READ COMMITTED (sql/0010_fill_leases.sql), and no statement of ours needs more.
            `set transaction isolation level read committed; set local statement_timeout = ${withinMs}`,
            text,
            values,
          )
    return this.#options.tracer ? this.#options.tracer.statement(text, run) : run()
  }

  async #run<Row extends pg.QueryResultRow>(
    kind: 'read' | 'write',
    text: string,
    values: unknown[],
    mayRepeat = true,
  ): Promise<Row[]> {
    const client = await this.#connect()
    const name = this.#names.of(text)
    try {
      const { rows } = await client.query<Row>({ ...(name && { name }), text, values })
      client.release()
      return rows
    } catch (error) {
      const { failure, isUsable } = await (kind === 'write'
        ? committingFailed(error, client)
        : { failure: statementFailed(error, kind), isUsable: isStatementError(error) })
      // After anything but an error of the statement itself, the state of the connection is unknown.
      client.release(!isUsable || planIsOutdated(error))
      if (name && wasNotPrepared(error)) {
        this.#names.giveUp()
        return this.#run(kind, text, values, mayRepeat)
      }
      // A connection that was lost while it was idle is noticed only now.
      if (mayRepeat && mayBeRepeated(error, kind)) return this.#run(kind, text, values, false)
      this.#errors.add(failure)
      if (failure.code === 'queue-full') this.#advanceQueue()
      throw failure
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect()
    } catch (error) {
      this.#errors.add(error as CacheError)
      throw error
    }
  }

  /** Asks for the usage of the notification queue, which moves its tail. Otherwise a full queue can stay full. */
  #advanceQueue(): void {
    this.read('select pg_notification_queue_usage()').catch(() => undefined)
  }
}
