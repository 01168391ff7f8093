import { createHash } from 'node:crypto'
import pg from 'pg'
import type { CacheError, CacheErrorCode } from '../../core/errors.js'
import type { Log } from '../../core/ports.js'
import { clientClass, newClient } from './connection.js'
import {
  connectFailed,
  connectionLost,
  isOfServer,
  isStatementError,
  mayBeRepeated,
  messageOf,
  needsSession,
  planIsOutdated,
  refusesSettings,
  statementFailed,
  wasNotPrepared,
} from './errors.js'
import { StatementErrors } from './statement-errors.js'

export interface DatabaseOptions {
  readonly url: string
  /** Maximum number of open connections. */
  readonly poolSize: number
  /** Time that a request may wait for a connection, and again for its statement. */
  readonly timeoutMs: number
  readonly log: Log
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

/** Connection pool. Every wait is bounded, and every failure is a CacheError. */
export class Database {
  readonly #options: DatabaseOptions
  readonly #errors: StatementErrors
  #pool: pg.Pool
  /** True if connections are opened without startup settings, because a pooler refuses them. */
  #bare = false
  /**
   * Names of the prepared statements, by text. Each connection prepares a statement once, because planning it takes
   * longer than running it. Undefined behind a pooler that may send each statement to another connection.
   */
  #names: Map<string, string> | undefined = new Map()

  constructor(options: DatabaseOptions) {
    this.#options = options
    this.#errors = new StatementErrors(options.log)
    this.#pool = this.#newPool()
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
    const client = newClient(url, {
      application_name: 'caching-layer ping',
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
    })
    client.on('error', () => undefined)
    try {
      await client.connect()
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
    return this.#inTransaction<Row>(transactionId, statement, values, (begun) => {
      if (begun) onId(String(begun.id), String(begun.epoch))
    })
  }

  /** Runs `first` and then `statement` in one transaction. `onBegun` receives the first row that `first` returns. */
  async #inTransaction<Row extends pg.QueryResultRow>(
    first: string,
    statement: string,
    values: unknown[],
    onBegun: (row: pg.QueryResultRow | undefined) => void = () => undefined,
  ): Promise<Row[]> {
    const client = await this.#connect()
    let isCommitting = false
    try {
      const results = (await client.query(begin + first)) as unknown as pg.QueryResult[]
      onBegun(results.at(-1)?.rows[0])
      const { rows } = await client.query<Row>(statement, values)
      isCommitting = true
      await client.query('commit')
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
    const { totalCount, idleCount, waitingCount } = this.#pool
    const { poolSize } = this.#options
    return { busy: totalCount - idleCount, idle: idleCount, waiting: waitingCount, size: poolSize }
  }

  /** Replaces the pool by a new one: existing connections may lead to a server that is no longer the primary. */
  renew(): void {
    const old = this.#pool
    this.#pool = this.#newPool()
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

  #traced<Row extends pg.QueryResultRow>(
    kind: 'read' | 'write',
    text: string,
    values: unknown[],
    withinMs: number | undefined,
  ): Promise<Row[]> {
    const run = () =>
      withinMs === undefined
        ? this.#run<Row>(kind, text, values)
        : this.#inTransaction<Row>(`set local statement_timeout = ${withinMs}`, text, values)
    return this.#options.tracer ? this.#options.tracer.statement(text, run) : run()
  }

  async #run<Row extends pg.QueryResultRow>(
    kind: 'read' | 'write',
    text: string,
    values: unknown[],
    mayRepeat = true,
  ): Promise<Row[]> {
    const client = await this.#connect()
    const name = this.#nameOf(text)
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
        this.#names = undefined
        return this.#run(kind, text, values, mayRepeat)
      }
      // A connection that was lost while it was idle is noticed only now.
      if (mayRepeat && mayBeRepeated(error, kind)) return this.#run(kind, text, values, false)
      this.#errors.add(failure)
      if (failure.code === 'queue-full') this.#advanceQueue()
      throw failure
    }
  }

  /**
   * Returns a name derived from the text. So it never stands for two statements, even if clients share the connection.
   */
  #nameOf(text: string): string | undefined {
    if (this.#names === undefined) return undefined
    let name = this.#names.get(text)
    if (name === undefined) {
      name = `caching_layer_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`
      this.#names.set(text, name)
    }
    return name
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect()
    } catch (error) {
      if (!refusesSettings(error) || this.#bare) {
        const failure = connectFailed(error)
        this.#errors.add(failure)
        throw failure
      }
      this.#options.log.warn(
        { reason: messageOf(error) },
        "the pooler refuses statement_timeout and lock_timeout: only the sidecar's own timeouts apply",
      )
      this.#bare = true
      this.renew()
      return this.#connect()
    }
  }

  /** Asks for the usage of the notification queue, which moves its tail. Otherwise a full queue can stay full. */
  #advanceQueue(): void {
    this.read('select pg_notification_queue_usage()').catch(() => undefined)
  }

  #newPool(): pg.Pool {
    const { url, poolSize, timeoutMs, log } = this.#options
    const pool = new pg.Pool({
      Client: clientClass(url),
      application_name: 'caching-layer',
      max: poolSize,
      keepAlive: true,
      connectionTimeoutMillis: timeoutMs,
      idleTimeoutMillis: 10_000,
      ...(!this.#bare && {
        statement_timeout: timeoutMs,
        lock_timeout: lockTimeoutMs(timeoutMs),
      }),
      query_timeout: timeoutMs + clientGraceMs,
    })
    // If a connection is lost while it is checked out, between two statements, the next statement reports it. Without a
    // listener, the event would end the process.
    pool.on('connect', (client) => client.on('error', () => undefined))
    pool.on('error', (error) =>
      log.info({ reason: messageOf(error) }, 'an idle database connection was lost'),
    )
    return pool
  }
}

interface Failed {
  readonly failure: CacheError
  /** True if the connection can be used again. */
  readonly isUsable: boolean
}

/** Returns the failure of a statement in a transaction for which no commit was sent. */
async function uncommittedFailed(error: unknown, client: pg.PoolClient): Promise<Failed> {
  // After our own timeout, the connection is still busy, and a rollback would wait as long again.
  const isUsable = error instanceof pg.DatabaseError && (await succeeds(client, 'rollback'))
  return { failure: statementFailed(error, 'read', isUsable), isUsable }
}

/**
 * Returns the failure of a statement that commits. If the session survives the error, the statement was rolled back.
 */
async function committingFailed(error: unknown, client: pg.PoolClient): Promise<Failed> {
  if (!needsSession(error))
    return { failure: statementFailed(error, 'write'), isUsable: isStatementError(error) }
  if (!(await succeeds(client, ''))) return { failure: connectionLost(error, 'write'), isUsable: false }
  const isCertain = isOfServer(error)
  return {
    failure: statementFailed(error, 'write', isCertain),
    isUsable: isCertain || isStatementError(error),
  }
}

async function succeeds(client: pg.PoolClient, statement: string): Promise<boolean> {
  try {
    await client.query(statement)
    return true
  } catch {
    return false
  }
}
