import pg from 'pg'
import { isObject } from './entry-value.js'
import type { Outcome } from './history.js'

export type SqlOutcome = Exclude<Outcome, 'kept'>

/** Reads and writes as any application does that uses the table and knows of no sidecar. */
export class SqlClient {
  readonly #pool: pg.Pool
  #isAway = false

  constructor(url: string) {
    this.#pool = new pg.Pool({
      connectionString: url,
      application_name: 'chaos',
      max: 8,
      connectionTimeoutMillis: 3_000,
      statement_timeout: 6_000,
      query_timeout: 7_000,
    })
    // Lost while idle or between two statements: the next statement says so.
    this.#pool.on('error', () => undefined).on('connect', (client) => client.on('error', () => undefined))
  }

  close(): Promise<void> {
    return this.#pool.end()
  }

  /** From now on the server counts as away, whoever answers in its place. */
  leave(): void {
    this.#isAway = true
  }

  /** It is there again. */
  comeBack(): void {
    this.#isAway = false
  }

  upsert(key: string, value: string): Promise<SqlOutcome> {
    return this.#write(
      `insert into cache_entries (key, value, content_type) values ($1, $2, $3)
       on conflict (key) do update set value = excluded.value, content_type = excluded.content_type`,
      [key, value, isObject(value) ? 'application/json' : null],
    )
  }

  /** `nothing` when there is no such row. */
  update(key: string, value: string): Promise<SqlOutcome> {
    return this.#write('update cache_entries set value = $2, content_type = $3 where key = $1', [
      key,
      value,
      isObject(value) ? 'application/json' : null,
    ])
  }

  async delete(key: string): Promise<SqlOutcome> {
    const outcome = await this.#write('delete from cache_entries where key = $1', [key])
    // Absent it was at that moment in either case.
    return outcome === 'nothing' ? 'ok' : outcome
  }

  truncate(): Promise<SqlOutcome> {
    return this.#write('truncate cache_entries', [], 'ok')
  }

  /** Gives every row among these keys the value; the outcome by key. */
  async updateAll(keys: readonly string[], value: string): Promise<(key: string) => SqlOutcome> {
    let changed: ReadonlySet<string> = new Set()
    const outcome = await this.#run(async (client) => {
      const { rows } = await client.query<{ key: string }>(
        'update cache_entries set value = $2 where key = any($1) returning key',
        [keys, value],
      )
      changed = new Set(rows.map(({ key }) => key))
      return 'ok'
    })
    return (key) => (outcome === 'ok' && !changed.has(key) ? 'nothing' : outcome)
  }

  /** One transaction that keeps its rows locked for a while before it commits. Update only; outcomes by key. */
  async transaction(
    writes: ReadonlyMap<string, string>,
    holdMs: number,
  ): Promise<(key: string) => SqlOutcome> {
    const changed = new Set<string>()
    const outcome = await this.#run(async (client) => {
      await client.query('begin')
      for (const [key, value] of writes) {
        const { rowCount } = await client.query(
          'update cache_entries set value = $2, content_type = $3 where key = $1',
          [key, value, isObject(value) ? 'application/json' : null],
        )
        if (rowCount) changed.add(key)
      }
      await client.query('select pg_sleep($1)', [holdMs / 1_000])
      const { command } = await client.query('commit')
      return command === 'COMMIT' ? 'ok' : 'failed'
    })
    return (key) => (outcome === 'ok' && !changed.has(key) ? 'nothing' : outcome)
  }

  /** Null where there is no row; undefined when the database did not answer. */
  async read(key: string): Promise<string | null | undefined> {
    let value: string | null | undefined
    await this.#run(async (client) => {
      const { rows } = await client.query<{ value: string }>(
        'select value from cache_entries where key = $1',
        [key],
      )
      value = rows[0]?.value ?? null
      return 'ok'
    })
    return value
  }

  /** Rejects when the database does not answer. */
  async readAll(keys: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const { rows } = await this.#pool.query<{ key: string; value: string }>(
      'select key, value from cache_entries where key = any($1)',
      [keys],
    )
    return new Map(rows.map(({ key, value }) => [key, value]))
  }

  #write(text: string, values: unknown[], ofNoRows: SqlOutcome = 'nothing'): Promise<SqlOutcome> {
    return this.#run(async (client) => {
      const { rowCount } = await client.query(text, values)
      return rowCount ? 'ok' : ofNoRows
    })
  }

  /** An error of a statement means that nothing happened; without an answer anything may have. */
  async #run(work: (client: pg.PoolClient) => Promise<SqlOutcome>): Promise<SqlOutcome> {
    let client: pg.PoolClient
    try {
      client = await this.#pool.connect()
    } catch {
      return 'failed'
    }
    // Asked now, when nothing but the statement is left: a connection may have been waited for.
    if (this.#isAway) {
      client.release()
      return 'failed'
    }
    try {
      const outcome = await work(client)
      client.release()
      return outcome
    } catch (error) {
      client.release(true)
      return error instanceof pg.DatabaseError && error.severity === 'ERROR' ? 'failed' : 'unknown'
    }
  }
}
