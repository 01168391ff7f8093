import pg from 'pg'
import { longTransaction } from '../bulk/long-transaction.js'
import { isStatementError } from '../pool/errors.js'
import { bindingReason } from './binding-reason.js'
import { type DefinedBinding, definedBindings, hasBindings } from './defined-bindings.js'

export interface BindingSessionOptions {
  readonly url: string
  readonly stop: AbortSignal
  /** True if bindings will be made or ended. Other sessions cannot do so meanwhile. */
  readonly isChanging: boolean
}

/**
 * Runs `work` in one transaction. Rejects with an Error whose message is one line, or with the one that `work` throws;
 * then nothing has changed.
 */
export function withBindings<T>(
  { url, stop, isChanging }: BindingSessionOptions,
  work: (session: BindingSession) => Promise<T>,
): Promise<T> {
  const isolation = isChanging ? 'read committed' : 'repeatable read, read only'
  const options = { url, stop, name: 'caching-layer bind', isolation } as const
  return longTransaction(options, async (client, _entries, schema) => {
    const session = await BindingSession.of(client, schema)
    if (isChanging) await session.lock()
    return work(session)
  })
}

/** Number of names of tables that are compared with a misspelt one. */
const maxNames = 10_000

/** A transaction that reads bindings, and may change them. */
export class BindingSession {
  readonly #client: pg.Client
  readonly #schema: string

  private constructor(client: pg.Client, schema: string) {
    this.#client = client
    this.#schema = schema
  }

  /** Throws an Error of one line if the migration that brings bindings has not run. */
  static async of(client: pg.Client, schema: string): Promise<BindingSession> {
    if (await hasBindings(client, schema)) return new BindingSession(client, schema)
    throw new Error('the database has no table for bindings yet: run "caching-layer migrate"')
  }

  /** Keeps other sessions from changing bindings until the transaction ends. */
  async lock(): Promise<void> {
    await this.#client.query(
      `lock table ${pg.escapeIdentifier(this.#schema)}.cache_bound_tables in share row exclusive mode`,
    )
  }

  defined(): Promise<readonly DefinedBinding[]> {
    return definedBindings(this.#client, this.#schema)
  }

  /** Returns each added pattern that can match the same keys as one of the others, or as an added one before it. */
  async overlaps(
    others: readonly string[],
    added: readonly string[],
  ): Promise<readonly { readonly key: string; readonly other: string }[]> {
    const { rows } = await this.#client.query<{ key: string; other: string }>(
      `with patterns as (select * from pg_catalog.unnest($1::text[]) with ordinality as given (key, position))
       select distinct on (one.position) one.key, other.key as other
       from patterns as one join patterns as other on other.position < one.position
       where one.position > $2::integer
         and ${pg.escapeIdentifier(this.#schema)}.cache_patterns_overlap(one.key, other.key)
       order by one.position, other.position`,
      [[...others, ...added], others.length],
    )
    return rows
  }

  /** Returns the name of the cache's schema, quoted if necessary. */
  async quotedSchema(): Promise<string> {
    const { rows } = await this.#client.query<{ name: string }>('select quote_ident($1) as name', [
      this.#schema,
    ])
    return rows[0]?.name ?? ''
  }

  /** Returns the search path of new sessions of this role. */
  async searchPath(): Promise<string> {
    const { rows } = await this.#client.query<{ path: string }>(
      "select reset_val as path from pg_settings where name = 'search_path'",
    )
    return rows[0]?.path ?? ''
  }

  /** Returns the oids of tables by their names, which must have a schema. A table that does not exist is left out. */
  async tablesNamed(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const { rows } = await this.#client.query<{ name: string; id: number }>(
      // to_regclass() would be an error if the role may not use the schema.
      `select name, pg_class.oid as id
       from pg_catalog.unnest($1::text[]) as name cross join lateral parse_ident(name) as parts
         join pg_namespace on nspname = parts[1] join pg_class on relnamespace = pg_namespace.oid and relname = parts[2]`,
      [names],
    )
    return new Map(rows.map(({ name, id }) => [name, id]))
  }

  /** Returns the names of tables that can be bound, for suggestions. */
  async tableNames(): Promise<readonly string[]> {
    const { rows } = await this.#client.query<{ name: string }>(
      `select format('%I.%I', nspname, relname) as name
       from pg_class join pg_namespace on pg_namespace.oid = relnamespace
       where relkind in ('r', 'p') and not relispartition and nspname <> 'information_schema'
         and not starts_with(nspname::text, 'pg_') and not starts_with(relname::text, 'cache_')
       order by 1
       limit ${maxNames}`,
    )
    return rows.map(({ name }) => name)
  }

  /**
   * Sends a call of cache_bind() or cache_unbind(). Resolves to the reason if the database refuses it: then the
   * transaction continues as if it had not been sent. Rejects if the connection is lost.
   */
  async attempt(statement: string): Promise<string | undefined> {
    await this.#client.query('savepoint binding')
    try {
      await this.#client.query(statement)
      await this.#client.query('release savepoint binding')
      return undefined
    } catch (error) {
      if (!isStatementError(error)) throw error
      await this.#client.query('rollback to savepoint binding')
      return bindingReason(error)
    }
  }
}
