import pg from 'pg'
import { isObject } from '../entry-value.js'
import type { Outcome } from '../oracle/history.js'

export type SqlOutcome = Exclude<Outcome, 'kept'>

/** Content of a row. A row that has expired counts as absent. */
export interface StoredRow {
  readonly value: string
  readonly isExpired: boolean
}

const update = 'update cache_entries set value = $2, content_type = $3, expires_at = default where key = $1'
const isThere = '(expires_at is null or expires_at > clock_timestamp())'
/** Limits the wait for an exclusive lock, because all other clients wait behind it. */
const lockTimeout = "set local lock_timeout = '1s'"

/**
 * Reads and writes as any application does that uses the table and knows of no sidecar. What it writes expires as what
 * a sidecar writes: as the column's default says.
 */
export class SqlClient {
  readonly #pool: pg.Pool
  #isAway = false

  constructor(url: string) {
    this.#pool = new pg.Pool({
      connectionString: url,
      application_name: 'chaos',
      max: 16,
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

  /** Marks the server as unavailable, even if another one answers in its place. */
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
       on conflict (key) do update
         set value = excluded.value, content_type = excluded.content_type, expires_at = default`,
      [key, value, isObject(value) ? 'application/json' : null],
    )
  }

  /** The row expires after so long. */
  upsertExpiring(key: string, value: string, lifetimeMs: number): Promise<SqlOutcome> {
    return this.#write(
      `insert into cache_entries (key, value, content_type, expires_at)
       values ($1, $2, $3, clock_timestamp() + $4 * interval '1 ms')
       on conflict (key) do update
         set value = excluded.value, content_type = excluded.content_type, expires_at = excluded.expires_at`,
      [key, value, isObject(value) ? 'application/json' : null, lifetimeMs],
    )
  }

  /** `nothing` when there is no such row. */
  update(key: string, value: string): Promise<SqlOutcome> {
    return this.#write(update, [key, value, isObject(value) ? 'application/json' : null])
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
    const outcome = await this.run(async (client) => {
      const { rows } = await client.query<{ key: string }>(
        'update cache_entries set value = $2, expires_at = default where key = any($1) returning key',
        [keys, value],
      )
      changed = new Set(rows.map(({ key }) => key))
      return 'ok'
    })
    return (key) => (outcome === 'ok' && !changed.has(key) ? 'nothing' : outcome)
  }

  /** Gives all these keys the value, always in the same order, as the script does that fills a new database. */
  upsertAll(keys: readonly string[], value: string): Promise<SqlOutcome> {
    return this.#write(
      `insert into cache_entries (key, value) select key, $2 from unnest($1::text[]) as keys (key) order by key collate "C"
       on conflict (key) do update set value = excluded.value, expires_at = default`,
      [keys, value],
    )
  }

  /**
   * Sets the sequence of versions back and gives every row among these keys the value, each under the number that its
   * version has already. Afterwards the sequence is where it was, or stays behind. Outcomes by key.
   */
  async handOutAgain(
    keys: readonly string[],
    value: string,
    isCaughtUp: boolean,
  ): Promise<(key: string) => SqlOutcome> {
    const changed = new Set<string>()
    const outcome = await this.#transaction(async (client) => {
      await client.query('lock table cache_entries in share row exclusive mode')
      const { rows: sequence } = await client.query<{ last: string }>(
        'select last_value as last from cache_version',
      )
      // The highest first, so that the sequence ends far below.
      const { rows } = await client.query<{ key: string; before: string }>(
        `select key, (version >> 24) - 1 as before from cache_entries
         where key = any($1) and version >> 24 > 1 order by version desc`,
        [keys],
      )
      for (const { key, before } of rows) {
        await client.query(`select setval('cache_version', $1)`, [before])
        const { rowCount } = await client.query(update, [key, value, null])
        if (rowCount) changed.add(key)
      }
      if (isCaughtUp) await client.query(`select setval('cache_version', $1)`, [sequence[0]?.last])
    })
    return (key) => (outcome === 'ok' && !changed.has(key) ? 'nothing' : outcome)
  }

  /** Gives every row among these keys the value while no trigger fires, as a bulk load does. Outcomes by key. */
  async updateWithoutTriggers(keys: readonly string[], value: string): Promise<(key: string) => SqlOutcome> {
    let changed: ReadonlySet<string> = new Set()
    const outcome = await this.#transaction(async (client) => {
      const { rows: triggers } = await client.query<{ name: string; enabled: 'O' | 'A' | 'R' | 'D' }>(
        `select quote_ident(tgname) as name, tgenabled as enabled from pg_trigger
         where tgrelid = 'cache_entries'::regclass and not tgisinternal`,
      )
      await client.query('alter table cache_entries disable trigger user')
      const { rows } = await client.query<{ key: string }>(
        `update cache_entries set value = $2, content_type = null, expires_at = null
         where key = any($1) returning key`,
        [keys, value],
      )
      changed = new Set(rows.map(({ key }) => key))
      for (const { name, enabled } of triggers) {
        const how = { O: 'enable', A: 'enable always', R: 'enable replica', D: 'disable' }[enabled]
        await client.query(`alter table cache_entries ${how} trigger ${name}`)
      }
    })
    return (key) => (outcome === 'ok' && !changed.has(key) ? 'nothing' : outcome)
  }

  /** Gives every row among these keys the value, JSON as text, for ever, by writing the table anew. Outcomes by key. */
  async rewrite(keys: readonly string[], value: string): Promise<(key: string) => SqlOutcome> {
    let changed: ReadonlySet<string> = new Set()
    const outcome = await this.#transaction(async (client) => {
      const among = `array[${keys.map((key) => pg.escapeLiteral(key)).join(', ')}]`
      await client.query(
        `alter table cache_entries alter column value type text
         using case when key = any(${among}) then ${pg.escapeLiteral(value)} else value end,
         alter column expires_at type timestamptz using case when key = any(${among}) then null else expires_at end`,
      )
      const { rows } = await client.query<{ key: string }>(
        `select key from cache_entries where value = $1 and ${isThere}`,
        [value],
      )
      changed = new Set(rows.map(({ key }) => key))
    })
    return (key) => (outcome === 'ok' && !changed.has(key) ? 'nothing' : outcome)
  }

  /** One transaction that keeps its rows locked for a while before it commits. Update only; outcomes by key. */
  async transaction(
    writes: ReadonlyMap<string, string>,
    holdMs: number,
  ): Promise<(key: string) => SqlOutcome> {
    const changed = new Set<string>()
    const outcome = await this.run(async (client) => {
      await client.query('begin')
      for (const [key, value] of writes) {
        const contentType = isObject(value) ? 'application/json' : null
        const { rowCount } = await client.query(update, [key, value, contentType])
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
    await this.run(async (client) => {
      const { rows } = await client.query<{ value: string }>(
        `select value from cache_entries where key = $1 and ${isThere}`,
        [key],
      )
      value = rows[0]?.value ?? null
      return 'ok'
    })
    return value
  }

  /** Rejects when the database does not answer. */
  async readAll(keys: readonly string[]): Promise<ReadonlyMap<string, StoredRow>> {
    const { rows } = await this.#pool.query<{ key: string; value: string; is_there: boolean }>(
      `select key, value, ${isThere} as is_there from cache_entries where key = any($1)`,
      [keys],
    )
    return new Map(rows.map(({ key, value, is_there }) => [key, { value, isExpired: !is_there }]))
  }

  /** A transaction of statements that keep everybody else out, which is not to wait for long. */
  #transaction(work: (client: pg.PoolClient) => Promise<void>): Promise<SqlOutcome> {
    return this.run(async (client) => {
      await client.query('begin')
      await client.query(lockTimeout)
      await work(client)
      const { command } = await client.query('commit')
      return command === 'COMMIT' ? 'ok' : 'failed'
    })
  }

  #write(text: string, values: unknown[], ofNoRows: SqlOutcome = 'nothing'): Promise<SqlOutcome> {
    return this.run(async (client) => {
      const { rowCount } = await client.query(text, values)
      return rowCount ? 'ok' : ofNoRows
    })
  }

  /**
   * Runs statements on one connection. An error of a statement means that nothing happened; without an answer anything
   * may have.
   */
  async run(work: (client: pg.PoolClient) => Promise<SqlOutcome>): Promise<SqlOutcome> {
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
