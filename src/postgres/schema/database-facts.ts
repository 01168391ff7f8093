import type { Database } from '../pool/database.js'
import { exactNumber } from './exact-number.js'
import { oidOf, quoteIdentifier } from './schema-owner.js'

/** Facts about the database of a cache, for people. */
export interface DatabaseFacts {
  readonly serverVersion: string
  /** Used part of the notification queue, from 0 to 1. */
  readonly queueUsage: number
  /** Rows of cache_entries, as the server estimates them; null if it does not know yet. */
  readonly rows: number | null
  readonly tableBytes: number
  /** Rows of the outbox, at most `maxCounted`; null if they may not be read. */
  readonly outboxRows: number | null
  /** Number of migrations that are applied; null if they may not be read. */
  readonly migrations: number | null
}

/** Longest outbox that is counted, because a longer one would take long. */
const maxCounted = 10_000

/** Returns the facts. Rejects with a CacheError. */
export async function databaseFacts(
  database: Pick<Database, 'read'>,
  schemaName: string,
): Promise<DatabaseFacts> {
  const schema = quoteIdentifier(schemaName)
  const oid = (table: string) => oidOf(schemaName, table)
  const [facts] = await database.read<
    Omit<DatabaseFacts, 'outboxRows' | 'migrations'> & {
      readonly mayReadOutbox: boolean | null
      readonly mayReadMigrations: boolean | null
    }
  >(
    `select current_setting('server_version') as "serverVersion",
       ${exactNumber('pg_notification_queue_usage()::numeric')} as "queueUsage",
       (select case when reltuples >= 0::real then ${exactNumber('reltuples::numeric')} end from pg_class
        where pg_class.oid = ${oid('cache_entries')}) as rows,
       ${exactNumber(`pg_total_relation_size(${oid('cache_entries')}::regclass)::numeric`)} as "tableBytes",
       has_table_privilege(${oid('cache_outbox')}, 'select') as "mayReadOutbox",
       has_table_privilege(${oid('cache_migrations')}, 'select') as "mayReadMigrations"`,
  )
  if (facts === undefined) throw new Error('the query for facts returned no row')
  const { mayReadOutbox, mayReadMigrations, ...rest } = facts
  const count = async (mayRead: boolean | null, table: string) => {
    if (!mayRead) return null
    const [row] = await database.read<{ count: number }>(
      `select count(*)::int as count from (select from ${schema}.${table} limit ${maxCounted}) as bounded`,
    )
    return row?.count ?? null
  }
  return {
    ...rest,
    outboxRows: await count(mayReadOutbox, 'cache_outbox'),
    migrations: await count(mayReadMigrations, 'cache_migrations'),
  }
}
