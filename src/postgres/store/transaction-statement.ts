import type { ConditionalWrite } from '../../core/ports.js'
import { quoteIdentifier } from '../schema/schema-owner.js'
import { epochIn } from '../schema/table-identity.js'
import { isPlainIn } from '../schema/table-triggers.js'
import { arrayLiteral, groupsIn } from './array-literal.js'
import { isMetIn, tagsOf } from './conditional-statement.js'
import { expiryIn, remainingMs } from './expiry.js'
import { areLeasedIn } from './fill-leases.js'
import { toColumns } from './value.js'

/**
 * Returns the statement that writes and deletes entries, if all conditions hold, and returns a ConditionalRow for each
 * of them, in their order. It decides about each condition like a conditional write (conditional-statement.ts), for all
 * rows before it writes any. Rows are locked in the order of their keys.
 *
 * A row that another transaction inserts after the snapshot is not written, and the others are. Then the transaction
 * must be rolled back and tried again. So it must if there is a lease of an entry to delete, which has to be revoked
 * first.
 */
export function transactionStatement(schemaName: string): string {
  const entries = `${quoteIdentifier(schemaName)}.cache_entries`
  const returning = `key, version::text as version, ${remainingMs}, ${isPlainIn(schemaName)} as is_as_sent`
  const update = (expiry: string, isOfKind: string) => `
    update ${entries} as entry
    set value = judged.value, content_type = judged.content_type, updated_at = now(), expires_at = ${expiry},
      groups = ${groupsIn('judged.groups')}
    from judged, verdict
    where entry.key = judged.key and all_met and is_present and judged.value is not null and ${isOfKind}
    returning entry.${returning}`
  const insert = (columns: string, expiry: string, isOfKind: string) => `
    insert into ${entries} (key, value, content_type, groups${columns})
    select key, value, content_type, ${groupsIn('groups')}${expiry} from judged, verdict
    where all_met and not is_present and value is not null and ${isOfKind}
    order by key collate "C"
    on conflict (key) do nothing
    returning ${returning}`
  return `
  with wanted as (
    select *
    from unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::text[], $6::text[], $7::text[])
      with ordinality as wanted (key, value, content_type, ttl_ms, groups, match, none_match, number)
  ), present as (
    select key, version, expires_at from ${entries} where key = any($1::text[]) order by key collate "C" for update
  ), found as (
    select wanted.*, epoch, present.key is not null as is_present,
      case when expires_at is null or expires_at > clock_timestamp() then version end as before
    from ${epochIn(schemaName)} as epoch, wanted left join present using (key)
  ), judged as (
    select *, ${isMetIn('match::text[]', 'none_match::text[]')} as is_met from found
  ), verdict as (
    select bool_and(is_met) as all_met from judged
  ), updated as (${update('default', 'ttl_ms is null')}
  ), updated_expiring as (${update(expiryIn('ttl_ms'), 'ttl_ms is not null')}
  ), inserted as (${insert('', '', 'ttl_ms is null')}
  ), inserted_expiring as (${insert(', expires_at', `, ${expiryIn('ttl_ms')}`, 'ttl_ms is not null')}
  ), removed as (
    delete from ${entries} as entry using judged, verdict
    where entry.key = judged.key and all_met and is_present and judged.value is null
    returning entry.key, case when before is not null then '-' || entry.version::text end as version,
      null::json as remaining_ms, ${isPlainIn(schemaName)} as is_as_sent
  ), written as (
    select * from updated
    union all select * from updated_expiring
    union all select * from inserted
    union all select * from inserted_expiring
    union all select * from removed
  )
  select judged.epoch, before::text as before, is_present, is_met, written.key is not null as is_written, written.*,
    judged.value is null
      and ${areLeasedIn(schemaName, 'select hashtextextended(judged.key, 0::bigint)')} as are_leased
  from judged left join written using (key)
  order by number`
}

/** Returns the parameters of the statement: one array for each column. */
export function transactionParameters(writes: readonly ConditionalWrite[]): unknown[] {
  const columns = writes.map(({ value, mediaType }) =>
    value === undefined ? undefined : toColumns({ value, mediaType }),
  )
  const tags = (part: 'match' | 'noneMatch') =>
    writes.map(({ condition }) => {
      const given = tagsOf(condition[part])
      return given === null ? null : arrayLiteral(given)
    })
  return [
    writes.map(({ key }) => key),
    columns.map((column) => column?.text ?? null),
    columns.map((column) => column?.contentType ?? null),
    writes.map(({ ttlMs }) => ttlMs ?? null),
    writes.map(({ groups }) => arrayLiteral(groups)),
    tags('match'),
    tags('noneMatch'),
  ]
}
