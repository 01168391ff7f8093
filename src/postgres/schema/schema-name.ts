import { CacheError } from '../../core/errors.js'
import type { Database } from '../pool/database.js'
import { sqlState } from '../pool/errors.js'
import { mayBeMissingMigrations } from '../pool/sql-states.js'
import { isForeignToSuperuser } from './schema-owner.js'

/**
 * Name of the schema, by which statements of the pool qualify every table and function. The listening session finds it,
 * on a connection of its own: on a connection that is shared behind a pooler, another client may have changed the
 * search_path.
 */
export class SchemaName {
  readonly #database: Pick<Database, 'read'>
  #found: string | undefined

  constructor(database: Pick<Database, 'read'>) {
    this.#database = database
  }

  /**
   * Rethrows the error of a statement. Until a session has found the table, a missing object becomes `store-not-ready`,
   * because a sidecar may start before the migrations have run.
   */
  readonly explain = (error: unknown): never => {
    if (this.#found === undefined && mayBeMissingMigrations(sqlState(error)))
      throw new CacheError('store-not-ready', 'the tables and functions of the cache are not there yet', {
        cause: error,
      })
    throw error
  }

  found(schema: string): void {
    this.#found = schema
  }

  /**
   * Returns the name of the schema. Before the first session has found it, asks the pool. Rejects with a CacheError.
   */
  get(): string | Promise<string> {
    return this.#found ?? this.#ask()
  }

  async #ask(): Promise<string> {
    const [row] = await this.#database.read<{ schema: string | null; is_foreign: boolean | null }>(
      // Resets search_path, for this statement only, to the session's initial value, whatever another client of the
      // pooler set.
      `with path as materialized (
         select set_config('search_path', reset_val, true) as set from pg_settings where name = 'search_path'
       ), wanted as materialized (
         select to_regclass(case when set is not null then 'cache_entries' end)::oid as id,
                case when set is not null then current_schema() end as schema
         from path
       )
       select coalesce(found.schema, wanted.schema::text) as schema, found.is_foreign
       from wanted
         left join (
           select pg_class.oid, nspname::text as schema, ${isForeignToSuperuser('relowner')} as is_foreign
           from pg_class join pg_namespace on pg_namespace.oid = relnamespace
         ) as found on found.oid = wanted.id`,
    )
    if (row?.is_foreign)
      throw new CacheError(
        'store-failed',
        `${row.schema}.cache_entries belongs to a role that is not a superuser, as this one is`,
      )
    if (row?.schema == null)
      throw new CacheError('store-not-ready', 'the search_path names no schema that exists and may be used')
    return row.schema
  }
}
