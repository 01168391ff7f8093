import { CacheError } from '../../core/errors.js'
import type { Database } from '../pool/database.js'
import { sqlState } from '../pool/errors.js'
import { mayBeMissingMigrations } from '../pool/sql-states.js'
import { isForeignToSuperuser } from './schema-owner.js'

/**
 * The name of the schema that statements of the pool put before every table and function. The listening session finds it, on
 * a connection of its own: on one that is shared behind a pooler, somebody's SET search_path may have been left.
 */
export class SchemaName {
  readonly #database: Pick<Database, 'read'>
  #found: string | undefined

  constructor(database: Pick<Database, 'read'>) {
    this.#database = database
  }

  /**
   * Throws the error of a statement again. Until a session has found the table, one that is missing may still come: a sidecar
   * may start before the migrations.
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

  /** Before the first session, the pool is asked. Rejects with a CacheError. */
  get(): string | Promise<string> {
    return this.#found ?? this.#ask()
  }

  async #ask(): Promise<string> {
    const [row] = await this.#database.read<{ schema: string | null; is_foreign: boolean | null }>(
      // As the session began, whatever another client of the pooler has set since; until the statement ends.
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
        `${row.schema}.cache_entries belongs to a role that is no superuser`,
      )
    if (row?.schema == null)
      throw new CacheError('store-not-ready', 'the search_path names no schema that exists and may be used')
    return row.schema
  }
}
