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
  /** Most connections open at once. */
  readonly poolSize: number
  /** How long a request may wait for a connection, and again for its statement. */
  readonly timeoutMs: number
  readonly log: Log
  readonly tracer?: StatementTracer | undefined
}

/**
 * A transaction whose client is gone must not hold its locks until the server notices that. And nulls in arrays are nulls,
 * whatever another client of a pooler has set.
 */
const begin = "begin; set local idle_in_transaction_session_timeout = '5s'; set local array_nulls = on; "

export interface TransactionTexts {
  /** Answers with the id of the transaction, and the epoch. */
  readonly transactionId: string
  readonly statement: string
  readonly onId: (id: string, epoch: string) => void
}

/** Sees each statement that is sent, where somebody wants to. */
export interface StatementTracer {
  statement<T>(text: string, run: () => Promise<T>): Promise<T>
}

/** Connections of the pool. */
export interface PoolUse {
  /** Also with connecting. */
  readonly busy: number
  readonly idle: number
  /** Statements that wait for one. */
  readonly waiting: number
  readonly size: number
}

/** How much longer the client waits than the server: the server's own timeout says what happened. */
const clientGraceMs = 500

/** To find one locked row among 500 takes nine of these; that should not take all the time there is. */
function lockTimeoutMs(timeoutMs: number): number {
  return Math.ceil(timeoutMs / 10)
}

/** The connection pool. Every wait has a bound, and every failure is a CacheError. */
export class Database {
  readonly #options: DatabaseOptions
  readonly #errors: StatementErrors
  #pool: pg.Pool
  /** Without settings for the session, because a pooler refuses them. */
  #bare = false
  /**
   * The names of statements prepared once per connection: planning ours anew takes longer than running them.
   * Undefined behind a pooler that hands each statement to another connection.
   */
  #names: Map<string, string> | undefined = new Map()

  constructor(options: DatabaseOptions) {
    this.#options = options
    this.#errors = new StatementErrors(options.log)
    this.#pool = this.#newPool()
  }

  /** For statements that change nothing. The server ends one that takes longer than `withinMs`, or the usual timeout. */
  read<Row extends pg.QueryResultRow>(
    text: string,
    values: unknown[] = [],
    withinMs?: number,
  ): Promise<Row[]> {
    return this.#traced('read', text, values, withinMs)
  }

  /** As `read`, for a single statement that commits by itself. Rejects with `outcome-unknown` as P3 says. */
  write<Row extends pg.QueryResultRow>(text: string, values: unknown[], withinMs?: number): Promise<Row[]> {
    return this.#traced('write', text, values, withinMs)
  }

  /** Resolves if the server answers on a new connection. */
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
      // Not waited for: a server that is not there does not answer.
      client.end().catch(() => undefined)
    }
  }

  /**
   * Runs a statement in a transaction of its own, and calls `onId` before it. Rejects with `outcome-unknown` only if the
   * connection is lost while the transaction commits: before that, nothing has happened.
   */
  transaction<Row extends pg.QueryResultRow>(
    { transactionId, statement, onId }: TransactionTexts,
    values: unknown[],
  ): Promise<Row[]> {
    return this.#inTransaction<Row>(transactionId, statement, values, (begun) => {
      if (begun) onId(String(begun.id), String(begun.epoch))
    })
  }

  /** `first` begins the transaction; `onBegun` gets the first row that it answers with. */
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

  /** How many statements the database has answered with an error, by its kind. */
  get errorCounts(): ReadonlyMap<CacheErrorCode, number> {
    return this.#errors.counts
  }

  use(): PoolUse {
    const { totalCount, idleCount, waitingCount } = this.#pool
    const { poolSize } = this.#options
    return { busy: totalCount - idleCount, idle: idleCount, waiting: waitingCount, size: poolSize }
  }

  /** From now on new connections only: those there are may lead to a server that is no longer the primary. */
  renew(): void {
    const old = this.#pool
    this.#pool = this.#newPool()
    // A pool that ends forgets who waits for a connection.
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
      // After anything but an error of the statement itself, what the connection sends next is anyone's guess.
      client.release(!isUsable || planIsOutdated(error))
      if (name && wasNotPrepared(error)) {
        this.#names = undefined
        return this.#run(kind, text, values, mayRepeat)
      }
      // A connection that was lost while idle is noticed here, too.
      if (mayRepeat && mayBeRepeated(error, kind)) return this.#run(kind, text, values, false)
      this.#errors.add(failure)
      if (failure.code === 'queue-full') this.#advanceQueue()
      throw failure
    }
  }

  /** By its text, so that one name never stands for two statements, whoever else shares the connection. */
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
        'the pooler in front of the database takes no statement_timeout and lock_timeout: only our own timeouts hold',
      )
      this.#bare = true
      this.renew()
      return this.#connect()
    }
  }

  /** A full notification queue stays full until somebody looks: asking for its usage moves its tail. */
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
    // Lost while checked out and between two statements: the next one says so. Without a listener it would end
    // the process.
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

/** Of a statement in a transaction that has not been told to commit. */
async function uncommittedFailed(error: unknown, client: pg.PoolClient): Promise<Failed> {
  // After our own timeout the connection is still busy: a rollback would wait for as long again.
  const isUsable = error instanceof pg.DatabaseError && (await succeeds(client, 'rollback'))
  return { failure: statementFailed(error, 'read', isUsable), isUsable }
}

/** Of a statement that commits. A session that has outlived the error shows that it was one of the statement. */
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
