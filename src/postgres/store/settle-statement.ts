import { quoteIdentifier } from '../schema/schema-owner.js'
import { epochIn, fingerprintIn, lineageIn } from '../schema/table-identity.js'
import { expiryIn } from './expiry.js'
import { isHeld, outcomeIn } from './value-digest.js'

/** Variants of the statement that sends pending writes. They differ in the rights that they need. */
export interface SettleNeeds {
  /** True if marks are compared. */
  readonly withMarks: boolean
  /** True if rows are deleted. */
  readonly withDeletes: boolean
  /** True if rows get a time to live. */
  readonly withTtl: boolean
}

type SettleVariant = `settle${'' | 'Marked'}${'' | 'Deletes'}${'' | 'Expiring'}`

export type SettleStatements = Readonly<Record<SettleVariant, string>>

/** Returns the name of a variant. */
export function settleVariant({ withMarks, withDeletes, withTtl }: SettleNeeds): SettleVariant {
  const [marked, deletes] = [withMarks ? 'Marked' : '', withDeletes ? 'Deletes' : ''] as const
  return `settle${marked}${deletes}${withTtl ? 'Expiring' : ''}`
}

export function settleStatements(schemaName: string): SettleStatements {
  const either = [false, true]
  const variants = either.flatMap((withMarks) =>
    either.flatMap((withDeletes) => either.map((withTtl) => ({ withMarks, withDeletes, withTtl }))),
  )
  return Object.fromEntries(
    variants.map((needs) => [settleVariant(needs), settleStatement(schemaName, needs)]),
  ) as SettleStatements
}

/**
 * More transactions than can begin while one statement runs. Rows older than 2^32 minus this number count as changed.
 */
const transactionsPerStatement = 2 ** 24

/**
 * Returns the statement that sends pending writes (P9). It locks the rows first, so that the rows that it compares are
 * those that it writes. A row that appears in between counts as a change: `do nothing` applies, and its key is missing
 * from the answer. Without `withDeletes`, the role needs no right to delete. A row that is missing counts as a change,
 * unless the write may be the first one, or the row may have expired and been removed in the same history.
 *
 * If nothing was held of a key, its row has not changed since the mark if the row's transaction is older than every
 * transaction that was running then. A row has only the low 32 bits of its transaction's number. The high bits are
 * chosen so that the number is the highest one below `beyond`, which is beyond every transaction, and not merely beyond
 * the snapshot, because a locked row can be newer than the snapshot:
 *   1. the snapshot is taken, and the statement      2. another client changes b, in the next transaction
 *      waits for the lock of row a                   3. row a is unlocked, and b is locked in its present state
 */
function settleStatement(schemaName: string, { withMarks, withDeletes, withTtl }: SettleNeeds): string {
  const schema = quoteIdentifier(schemaName)
  const entries = `${schema}.cache_entries`
  const epoch = epochIn(schemaName)
  const marks = `(select mark, oldest_xid from ${schema}.cache_marks where lineage = ${lineageIn(schemaName)}) as marks`
  return `
  with kept as (
    select kept.*, outcomes, may_be_gone, oldest_xid, epoch
    from ${epoch} as epoch,
      unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bigint[],
             $9::boolean[], $13::text[], $14::float8[], $15::boolean[])
        as kept (key, value, content_type, held, held_epoch, held_type, held_digest, seen,
                 may_have_happened, held_fingerprint, ttl_ms, may_have_expired)
      left join unnest($10::text[], $11::text[], $12::boolean[]) as unknown (unknown_key, outcomes, may_be_gone)
        on unknown_key = key
      left join ${withMarks ? marks : '(select null::bigint as mark, null::bigint as oldest_xid) as marks'}
        on mark = seen
  ), present as (
    select key, entry.version, entry.xmin::text::bigint as xid,
           case when held_digest is null then held_fingerprint = ${fingerprintIn(schemaName)}
             else ${isHeld('entry')} end as is_held,
           outcomes is not null and ${outcomeIn('entry')} = any(string_to_array(outcomes, ',')) as is_outcome
    from ${entries} as entry join kept using (key)
    order by key collate "C"
    for update of entry
  ), unchanged as (
    select kept.*
    from kept join present using (key), (
      select pg_snapshot_xmax(pg_current_snapshot())::text::bigint + ${transactionsPerStatement}::bigint as beyond
    ) as xids
    where is_outcome or case
      -- A version from before 0.1.1 has no random bits, and stands for one value within its epoch only.
      when held is not null then version = held and is_held and (held > 16777215::bigint or held_epoch = epoch)
      else (beyond & ~4294967295::bigint) + xid
        - case when (beyond & ~4294967295::bigint) + xid >= beyond then 4294967296::bigint else 0::bigint end < oldest_xid
    end
  ), absent as (
    select * from kept where not exists (select from present where present.key = kept.key)
  ), updated as (
    update ${entries} as entry
    set value = unchanged.value, content_type = unchanged.content_type, updated_at = now(), expires_at = default
    from unchanged
    where entry.key = unchanged.key and unchanged.value is not null and ttl_ms is null
    returning entry.key, entry.version
  ), insertable as (
    select * from absent
    where value is not null and not may_have_happened and (
      may_be_gone
      or may_have_expired and held_epoch = epoch
      or held is null and (seen is null or oldest_xid is not null)
    )
  ), inserted as (
    insert into ${entries} (key, value, content_type)
    select key, value, content_type from insertable where ttl_ms is null
    order by key collate "C"
    on conflict (key) do nothing
    returning key, version
  )${
    withTtl
      ? `, updated_expiring as (
    update ${entries} as entry
    set value = unchanged.value, content_type = unchanged.content_type, updated_at = now(),
      expires_at = ${expiryIn('ttl_ms')}
    from unchanged
    where entry.key = unchanged.key and unchanged.value is not null and ttl_ms is not null
    returning entry.key, entry.version
  ), inserted_expiring as (
    insert into ${entries} (key, value, content_type, expires_at)
    select key, value, content_type, ${expiryIn('ttl_ms')} from insertable where ttl_ms is not null
    order by key collate "C"
    on conflict (key) do nothing
    returning key, version
  )`
      : ''
  }, deleted as (
    ${
      withDeletes
        ? `delete from ${entries} as entry
    using unchanged
    where entry.key = unchanged.key and unchanged.value is null
    returning entry.key`
        : 'select key from unchanged where false'
    }
  ), settled as (
    select key, version from updated
    union all select key, version from inserted
    ${
      withTtl
        ? 'union all select key, version from updated_expiring union all select key, version from inserted_expiring'
        : ''
    }
    union all select key, null from deleted
    union all select key, null from absent where value is null
  )
  select key, version, epoch from settled, ${epoch} as epoch`
}
