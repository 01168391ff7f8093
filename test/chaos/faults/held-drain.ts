import pg from 'pg'

/**
 * Time in ms for which the rows may be locked by another drain, before this one gives up. Without it, the fault might
 * never end:
 *
 *   1. The first drain is held. It has the rows that changed first.
 *   2. A sidecar drains. It deletes a row that changed later, and waits for the first one.
 *   3. The second drain waits for the row that the sidecar has deleted.
 *   4. The first one ends as soon as the second one has begun.
 */
const lockTimeoutMs = 200
/** Channel of the changes of `public.cache_entries`. */
const channel = "cache_channel('public', 'cache_entries')"

/**
 * A drain that has deleted rows of the outbox and announced their keys, and whose transaction does not end. All other
 * drains that see these rows wait for it.
 */
export class HeldDrain {
  readonly #client: pg.Client

  private constructor(client: pg.Client) {
    this.#client = client
  }

  /**
   * Deletes the rows of these keys. Resolves to undefined if another drain has deleted one of them before, or has
   * locked one for too long, or if the server cannot be asked.
   */
  static async begin(url: string, keys: readonly string[]): Promise<HeldDrain | undefined> {
    const client = new pg.Client({ connectionString: url, application_name: 'chaos drain' })
    client.on('error', () => undefined)
    const drain = new HeldDrain(client)
    try {
      await client.connect()
      return (await drain.#take(keys)) ? drain : await drain.#giveUp()
    } catch {
      return drain.#giveUp()
    }
  }

  async #take(keys: readonly string[]): Promise<boolean> {
    await this.#client.query(`begin; set local lock_timeout = ${lockTimeoutMs}`)
    const { rows } = await this.#client.query<{ key: string }>(
      `with gone as (delete from cache_outbox where key = any($1) returning key)
       select key from gone, pg_notify(${channel}, '["' || key || '","1"]')`,
      [keys],
    )
    return new Set(rows.map(({ key }) => key)).size === keys.length
  }

  async #giveUp(): Promise<undefined> {
    await this.end('rollback')
    return undefined
  }

  /**
   * Returns the client's port of the drain that waits for this one, and of those that wait behind it. Empty if nobody
   * waits, or if the server cannot be asked.
   */
  async waiting(): Promise<readonly number[]> {
    try {
      const { rows } = await this.#client.query<{ port: number }>(
        `select client_port as port from pg_stat_activity
         where application_name = 'caching-layer outbox' and datname = current_database()
           and wait_event_type = 'Lock'
         order by wait_event <> 'transactionid'`,
      )
      return rows.map(({ port }) => port)
    } catch {
      return []
    }
  }

  /** Commits, or rolls back as the drain of a sidecar does whose connection to the server was lost. */
  async end(how: 'commit' | 'rollback'): Promise<void> {
    await this.#client.query(how).catch(() => undefined)
    await this.#client.end().catch(() => undefined)
  }
}
