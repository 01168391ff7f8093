import pg from 'pg'
import type { Epoch } from '../../core/entry.js'
import { quoteIdentifier } from '../schema/schema-owner.js'
import { epochIn } from '../schema/table-identity.js'
import type { CacheTable } from '../schema/table-inspection.js'

/** The cache whose outbox is drained: its schema, and the channel of its changes. */
export type DrainedTable = Pick<CacheTable, 'schema' | 'channel'>

export interface DrainRow {
  /** Snapshot of the statement, for the next one. */
  readonly snapshot: string
  readonly epoch: Epoch
  /** Number of rows that were deleted. */
  readonly rows: number
}

/** Regular expression of the names of mappings: those of functions, for PostgreSQL and for JavaScript. */
export const mappingName = 'cache_map_[0-9a-f]{12}_[0-9]+'

/** A drain of more keys announces that any key may have changed, and runs no mapping for more rows. */
const many = 10_000

/**
 * Returns the statement that drains the outbox (P17): it deletes what it sees, and announces the keys, in one
 * transaction. Two would lose changes, or let a sidecar believe that they were announced:
 *
 *   1. Sidecar A deletes the row of a change, and commits.
 *   2. Sidecar B drains: the outbox is empty. B's lease is renewed, and the change was not announced.
 *   3. A announces it.
 *
 * It leaves no row out: neither with a LIMIT, nor those that another drain has locked (SKIP LOCKED). Such a row makes
 * it wait until the other drain has ended. If that one commits, its notifications are ahead of ours, and if it rolls
 * back, the row is announced here.
 *
 * Rows with a mapping are mapped to keys by this statement, and see what it sees (P18). A mapping in the trigger would miss
 * keys, and so would one with another snapshot; sql/0013_bound_queries.sql has the interleavings. If a mapping fails, is not
 * to be run, or would be run for very many rows, any key of its binding may have changed: its name is announced instead of
 * keys.
 *
 * `since` is the snapshot of the last drain: rows of transactions that it has seen are gone. Without it, the dead rows
 * that a long transaction keeps from being vacuumed would be read each time. All drains read the rows in the order in
 * which the table has them, because two orders could be a deadlock.
 *
 * @param unrun SQL for an array of names of mappings that are not run; null for all of them
 * @param since an expression of type pg_snapshot; undefined for all rows
 */
export function drainIn({ schema, channel }: DrainedTable, unrun: string, since?: string): string {
  const isUnrun = `(${unrun} is null or mapping = any(${unrun}))`
  const isNew =
    since && `where xid = any(array(select pg_snapshot_xip(${since}))) or xid >= pg_snapshot_xmax(${since})`
  // Ids and pages as in cache_notifying_body (sql/0011_bindings.sql).
  return `
  with gone as (
    delete from ${quoteIdentifier(schema)}.cache_outbox ${isNew ?? ''} returning key, mapping
  ), unmapped as (
    select mapping from gone where mapping is not null group by mapping having ${isUnrun} or count(*) > ${many}
  ), mapped as (
    select mapping, pg_catalog.array_agg(distinct key) as changed
    from gone where mapping is not null and mapping not in (select mapping from unmapped) group by mapping
  ), ids as (
    select distinct key, case when key is null and mapping ~ '^${mappingName}$' then mapping end as mapping
    from (
      select key, null::text as mapping from gone where mapping is null
      union all
      select dependent.key, mapping
      from mapped
        cross join lateral ${quoteIdentifier(schema)}.cache_dependents(mapping, changed) as dependent (key)
      union all
      select null, mapping from unmapped
    ) as keys
    limit ${many + 1}
  ), paged as (
    select change, sum(octet_length(change) + 1) over (rows unbounded preceding) / 4700 as page
    from (
      select case
        when mapping is not null then '"' || chr(92) || 'u0000' || mapping || '"'
        when octet_length(key) > 128 and octet_length(convert_to(key, 'UTF8'::name)) > 512
          then '"' || chr(92) || 'u0000' || encode(sha256(convert_to(key, 'UTF8'::name)), 'hex'::text) || '"'
        else to_json(key)::text
      end || ',"1"'
      from ids where key is not null or mapping is not null
    ) as announced (change)
  ), payloads as (
    select case
      when (select count(*) > ${many} or bool_or(key is null and mapping is null) from ids) then array['*'::text]
      else array(select '["' || chr(92) || 'u0000drain","1",' || pg_catalog.string_agg(change, ','::text) || ']' from paged group by page)
    end as all_of_them
  ), sent as (
    select count(pg_notify(${pg.escapeLiteral(channel)}, payload)) from payloads, pg_catalog.unnest(all_of_them) as payload
  )
  select pg_current_snapshot()::text as snapshot, ${epochIn(schema)} as epoch, (select count(*) from gone)::int as rows
  from sent`
}
