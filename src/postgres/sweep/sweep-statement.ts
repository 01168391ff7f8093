import { exactMs, exactNumber } from '../schema/exact-number.js'
import { oidOf, quoteIdentifier } from '../schema/schema-owner.js'

/** Number of rows that one statement removes. It locks them for about 10 ms. */
export const rowsPerSweep = 1_000

/** Time for which rows have to be expired. The triggers of sql/0007_expiry.sql do not announce their end then. */
const expiredForSeconds = 10
/** Time for which a sidecar keeps its turn after a statement. */
const turnSeconds = 10

export interface SweepRow {
  /** True if there were rows to remove, and it is the turn of this sidecar. */
  readonly is_ours: boolean
  /** Number of rows that were removed. */
  readonly removed: number
  /** Time of expiry of the last of them, in s since 1970; null if there were none. */
  readonly last: number | null
  /** The database's clock, in ms since 1970. */
  readonly database_ms: number
}

/**
 * Returns the statement that removes up to `rowsPerSweep` rows that have expired: at $3 or later, and
 * `expiredForSeconds` before both the database's clock and $2 (all in s since 1970). $1 names the sidecar. One sidecar
 * at a time removes rows. Another one gets its turn when `until` has passed, or cannot be right because the clock was
 * set back.
 *
 * Rows that another transaction has locked are skipped: they are being written or deleted. So the statement never waits
 * for a row. It begins where the last one ended, because the index entries of removed rows stay until the next vacuum.
 */
export function sweepStatement(schemaName: string): string {
  const schema = quoteIdentifier(schemaName)
  const entries = `${schema}.cache_entries`
  const isExpired = `expires_at >= to_timestamp($3::float8) and expires_at <= (select cutoff from bounds)`
  const turnEnd = `clock_timestamp() + interval '${turnSeconds} seconds'`
  return `
  with bounds as materialized (
    select least(now(), to_timestamp($2::float8)) - interval '${expiredForSeconds} seconds' as cutoff
  ), turn as (
    insert into ${schema}.cache_sweeper as present (sidecar, until)
    select $1::text, ${turnEnd} where exists (select from ${entries} where ${isExpired})
    on conflict (is_only) do update set sidecar = excluded.sidecar, until = excluded.until
      where present.sidecar = excluded.sidecar or present.until < clock_timestamp() or present.until > ${turnEnd}
    returning true
  ), removed as (
    delete from ${entries}
    where exists (select from turn) and ctid = any(array(
      select ctid from ${entries} where ${isExpired}
      order by expires_at limit ${rowsPerSweep} for update skip locked
    ))
    returning expires_at
  )
  select exists (select from turn) as is_ours, count(*)::int as removed,
    ${exactNumber('extract(epoch from max(expires_at))')} as last,
    ${exactMs('clock_timestamp()')} as database_ms
  from removed`
}

/** Answer of `sweepObstacle`. */
export interface ObstacleRow {
  /** Reason why the statement cannot run, such as a missing right; null if there is none. */
  readonly obstacle: string | null
  /** True on a standby, and on a primary that accepts no writes at the moment. */
  readonly is_read_only: boolean
}

/** Returns a query for everything that would make the statement fail. */
export function sweepObstacle(schemaName: string): string {
  const entries = oidOf(schemaName, 'cache_entries')
  const sweeper = oidOf(schemaName, 'cache_sweeper')
  return `select case
      when ${sweeper} is null then 'sql/0007_expiry.sql is not applied'
      when not has_table_privilege(${entries}, 'delete') then 'the role may not delete from cache_entries'
      when not has_column_privilege(${entries}, 'ctid', 'select')
        then 'the role may not select the column ctid of cache_entries'
      when not has_any_column_privilege(${entries}, 'update') then 'the role may not update cache_entries'
      when not (has_table_privilege(${sweeper}, 'select') and has_table_privilege(${sweeper}, 'insert')
                and has_table_privilege(${sweeper}, 'update'))
        then 'the role may not select, insert and update in cache_sweeper'
      when not exists (select from pg_index where indexrelid = ${oidOf(schemaName, 'cache_entries_expiry')} and indisvalid)
        then 'the index cache_entries_expiry is missing or invalid'
    end as obstacle, current_setting('transaction_read_only') = 'on' as is_read_only`
}
