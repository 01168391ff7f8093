import { quoteIdentifier } from '../schema/schema-owner.js'
import { epochIn, fingerprintIn, isPlainIn, lineageIn } from '../schema/table.js'

/*
 * The statements of the store. They qualify all our tables and functions with their schema.
 *
 * If every role may create functions in `public`, a function public.concat_ws(text, bigint) of another role is found
 * before PostgreSQL's own, which takes arguments of any type. So functions of that kind are qualified with their
 * schema, here and in all other statements, and operators get operands of exactly their types. (An unnest of several
 * arrays is syntax, and always PostgreSQL's own.)
 */

export interface EntryStatements {
  /**
   * Reads the key $1. An array of one key would be slower: a generic plan assumes that `any($1)` means ten keys, so
   * PostgreSQL plans a single key anew each time, which takes longer than running it.
   */
  readonly readOne: string
  /** Reads the keys $1. Values of more than $2 bytes are withheld, for `readLarge`. */
  readonly readMany: string
  /** Reads the keys $1. The values that are returned have no more than $2 bytes together. */
  readonly readLarge: string
  /**
   * Reads the keys $1. Values that the reader holds already are not returned. The other parameters are the held
   * versions, epochs, content types and SHA-256.
   */
  readonly readWhatIsNotHeld: string
  /** Returns those of the keys $1 whose row another transaction has locked. */
  readonly locked: string
  /** Returns the versions of the keys $1; no rows if the epoch is not $2. */
  readonly versions: string
  readonly writeOne: string
  readonly writeMany: string
  readonly remove: string
  readonly position: string
  /** Returns the position, and whether the mark $1 exists. */
  readonly positionAndMark: string
  /** Returns the mark to use: the last one if it is recent or nothing has changed since, or else a new one, $1. */
  readonly mark: string
  /** Returns the id of the session's transaction, and the epoch. */
  readonly transactionId: string
  /** Returns the status of the transaction $2 of the epoch $1; null if the epoch is another one. */
  readonly transactionStatus: string
  /** Returns the keys $1 that have a row, and whether the transaction $2 has written it. */
  readonly writtenBy: string
  /**
   * Sends pending writes. The variants use marks, deletes, or both, so that a role needs no rights that it does not
   * use.
   */
  readonly settle: string
  readonly settleMarked: string
  readonly settleDeletes: string
  readonly settleMarkedDeletes: string
}

/** Age up to which sidecars share the last mark. So a fleet writes at most one mark in this time. */
const markAgeSeconds = 5
/** Number of marks that are kept: 14 hours of continuous writing. Older ones are deleted. */
const marksKept = 10_000
/**
 * More transactions than can begin while one statement runs. Rows older than 2^32 minus this number count as changed.
 */
const transactionsPerStatement = 2 ** 24

/** Default of the maximum bytes of values that one statement returns. */
export const defaultReadBytes = 64 * 1024 * 1024

export function entryStatements(schemaName: string, maxReadBytes = defaultReadBytes): EntryStatements {
  const schema = quoteIdentifier(schemaName)
  const entries = `${schema}.cache_entries`
  const epoch = `(select ${epochIn(schemaName)})`
  const lineage = lineageIn(schemaName)
  const remaining = `case when isfinite(expires_at)
    then (extract(epoch from expires_at - clock_timestamp()) * 1000.0)::float8 end as remaining_ms`

  /**
   * Inserts or updates entries. The version comes from the trigger, not from `excluded`, which was stamped before the
   * conflict was found:
   *   1. our row is stamped 7 and waits for the lock     3. ours goes through, and is stamped again: 9
   *   2. another session's update, stamped 8, commits    4. `excluded.version` would take the row back to 7
   */
  const upsert = (rows: string) =>
    `insert into ${entries} (key, value, content_type) ${rows}
     on conflict (key) do update
       set value = excluded.value, content_type = excluded.content_type, updated_at = now(), expires_at = default
     returning key, version, ${epoch} as epoch, ${remaining}, ${isPlainIn(schemaName)} as is_as_sent`

  /**
   * Finds entries. The epoch comes first in the join, so that it is computed even if no entry is found: on a standby it
   * fails, because a key that is missing there may exist in the primary. If no entry is found, one row without a key
   * has the epoch.
   */
  const found = (columns: string, wanted: string) =>
    `select key, version, epoch, ${columns}, ${remaining}
     from ${epochIn(schemaName)} as epoch
       left join ${wanted} and (expires_at is null or expires_at > clock_timestamp())`
  const isShort = 'octet_length(value) <= $2::int'

  const select = (isHeld: string, wanted: string, isPostponed?: string) =>
    withinBytes(
      found(`content_type, value, ${isHeld} as is_unsent`, wanted),
      'key, version, epoch, remaining_ms',
      maxReadBytes,
      isPostponed,
    )

  const position = (hasMark: string) =>
    `select ${epochIn(schemaName)} as epoch, ((last_value << 24) | 16777215::bigint)::text as latest,
       ${hasMark} as has_mark
     from ${schema}.cache_version`

  return {
    readOne: select('false', `${entries} on key = $1`, 'false'),
    readMany: found(
      `${contentType}, case when ${isShort} then value end as value,
       case when not ${isShort} then 'postponed' end as withheld`,
      `${entries} on key = any($1)`,
    ),
    readLarge: select('false', `${entries} on key = any($1)`, isBeyond(maxReadBytes, '$2')),
    readWhatIsNotHeld: select(
      `version = held_version and epoch = held_epoch and ${isHeld('cache_entries')}`,
      `(unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[])
         as wanted (key, held_version, held_epoch, held_type, held_digest) join ${entries} using (key)) on true`,
    ),
    versions: `select key, version from ${entries} where key = any($1) and ${epoch} = $2`,
    locked: `select key from ${entries} where key = any($1)
      except select key from (select key from ${entries} where key = any($1) for update skip locked) as free`,
    writeOne: upsert('values ($1, $2, $3)'),
    // Another client of the pooler may have left array_nulls = off in the session: then a null reads as 'NULL'.
    writeMany: upsert(
      `select key, value, nullif(content_type, 'NULL'::text)
       from unnest($1::text[], $2::text[], $3::text[]) as written (key, value, content_type)
       order by key collate "C"`,
    ),
    remove: `with removed as (
        delete from ${entries}
        where key in (select key from ${entries} where key = any($1) order by key collate "C" for update)
        returning key, '-' || version::text as version
      )
      select key, version, epoch from ${epochIn(schemaName)} as epoch left join removed on true`,
    position: position('true'),
    positionAndMark: position(
      `exists (select from ${schema}.cache_marks where mark = $1::bigint and lineage = ${lineage})`,
    ),
    mark: `with now as (
        select (last_value << 24) | 16777215::bigint as latest from ${schema}.cache_version
      ), last as (
        select number, mark, latest, written_at from ${schema}.cache_marks
        where lineage = ${lineage} order by number desc limit 1
      ), fresh as (
        insert into ${schema}.cache_marks (mark, oldest_xid, latest, lineage)
        select $1::bigint, pg_snapshot_xmin(pg_current_snapshot())::text::bigint, now.latest, ${lineage}
        from now left join last on true
        where last.mark is null
          or last.latest <> now.latest
            and last.written_at < clock_timestamp() - interval '${markAgeSeconds} seconds'
        returning mark, latest
      ), removed as (
        delete from ${schema}.cache_marks
        where number <= (select number - ${marksKept}::bigint from last) and exists (select from fresh)
      )
      select mark::text, latest::text from fresh
      union all
      select mark::text, latest::text from last where not exists (select from fresh)`,
    transactionId: `select pg_current_xact_id()::text as id, ${epochIn(schemaName)} as epoch`,
    transactionStatus: `select case when epoch = $1 then pg_xact_status($2::text::xid8) end as status
      from ${epochIn(schemaName)} as epoch`,
    writtenBy: `select key, version, ${epoch} as epoch,
        xmin::text = ($2::bigint & 4294967295::bigint)::text as is_written
      from ${entries} where key = any($1)`,
    settle: settle(schemaName, { withMarks: false, withDeletes: false }),
    settleMarked: settle(schemaName, { withMarks: true, withDeletes: false }),
    settleDeletes: settle(schemaName, { withMarks: false, withDeletes: true }),
    settleMarkedDeletes: settle(schemaName, { withMarks: true, withDeletes: true }),
  }
}

/**
 * Content type, cut to 255 characters. The trigger stores short ones, but with triggers disabled anything can be
 * stored.
 */
const contentType = 'left(content_type, 255) as content_type'

/**
 * True if the value is too large ever to be returned. PostgreSQL knows the length of a value without reading the value.
 */
const isTooLarge = (maxBytes: number) => `octet_length(value)::bigint > ${maxBytes}::bigint`

/** True for a row if the values up to and including it, without those that are too large, exceed `bytes` together. */
const isBeyond = (maxBytes: number, bytes = String(maxBytes)) =>
  `sum(case when is_unsent or ${isTooLarge(maxBytes)} then 0 else octet_length(value) end)
     over (rows unbounded preceding) > ${bytes}::bigint`

/**
 * Returns a query that limits the bytes of the values in `rows`, which is a query with the columns `value`,
 * `content_type` and `is_unsent` (true if the value need not be sent), among others. `isPostponed` is SQL that is true
 * for a row whose value has to wait; by default, if the values before it leave no room.
 */
export function withinBytes(
  rows: string,
  columns: string,
  maxBytes: number,
  isPostponed = isBeyond(maxBytes),
): string {
  return `select ${columns}, ${contentType},
       case when is_unsent or withheld is not null then null else value end as value, withheld
     from (
       select *, case when is_unsent then null when ${isTooLarge(maxBytes)} then 'too-large'
         when ${isPostponed} then 'postponed' end as withheld
       from (${rows}) as found
     ) as sized`
}

/**
 * Returns SQL that is true if the stored value is the held one. Equal versions mean equal values, unless somebody has
 * disabled the triggers, updated rows, and enabled the triggers again.
 */
export const isHeld = (entry: string) =>
  `${entry}.content_type is not distinct from held_type
   and encode(sha256(convert_to(${entry}.value, 'UTF8'::name)), 'hex') = held_digest`

/** Returns SQL for a hash of the content type and the value of a row. Same as `outcomeOf` in entry-row.ts. */
const outcomeOf = (entry: string) =>
  `encode(sha256(convert_to(coalesce(${entry}.content_type, '') || (':' || ${entry}.value), 'UTF8'::name)), 'hex')`

/**
 * Returns the statement that sends pending writes (P9). It locks the rows first, so that the rows that it compares are
 * those that it writes. A row that appears in between counts as a change: `do nothing` applies, and its key is missing
 * from the answer. Without `withDeletes`, the role needs no right to delete.
 *
 * If nothing was held of a key, its row has not changed since the mark if the row's transaction is older than every
 * transaction that was running then. A row has only the low 32 bits of its transaction's number. The high bits are
 * chosen so that the number is the highest one below `beyond`, which is beyond every transaction, and not merely beyond
 * the snapshot, because a locked row can be newer than the snapshot:
 *   1. the snapshot is taken, and the statement      2. another client changes b, in the next transaction
 *      waits for the lock of row a                   3. row a is unlocked, and b is locked in its present state
 */
function settle(
  schemaName: string,
  { withMarks, withDeletes }: { withMarks: boolean; withDeletes: boolean },
): string {
  const schema = quoteIdentifier(schemaName)
  const entries = `${schema}.cache_entries`
  const epoch = epochIn(schemaName)
  const marks = `(select mark, oldest_xid from ${schema}.cache_marks where lineage = ${lineageIn(schemaName)}) as marks`
  return `
  with kept as (
    select kept.*, outcomes, may_be_gone, oldest_xid, epoch
    from ${epoch} as epoch,
      unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bigint[],
             $9::boolean[], $13::text[])
        as kept (key, value, content_type, held, held_epoch, held_type, held_digest, seen,
                 may_have_happened, held_fingerprint)
      left join unnest($10::text[], $11::text[], $12::boolean[]) as unknown (unknown_key, outcomes, may_be_gone)
        on unknown_key = key
      left join ${withMarks ? marks : '(select null::bigint as mark, null::bigint as oldest_xid) as marks'}
        on mark = seen
  ), present as (
    select key, entry.version, entry.xmin::text::bigint as xid,
           case when held_digest is null then held_fingerprint = ${fingerprintIn(schemaName)}
             else ${isHeld('entry')} end as is_held,
           outcomes is not null and ${outcomeOf('entry')} = any(string_to_array(outcomes, ',')) as is_outcome
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
    where entry.key = unchanged.key and unchanged.value is not null
    returning entry.key, entry.version
  ), inserted as (
    insert into ${entries} (key, value, content_type)
    select key, value, content_type from absent
    where value is not null and not may_have_happened
      and (may_be_gone or held is null and (seen is null or oldest_xid is not null))
    order by key collate "C"
    on conflict (key) do nothing
    returning key, version
  ), deleted as (
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
    union all select key, null from deleted
    union all select key, null from absent where value is null
  )
  select key, version, epoch from settled, ${epoch} as epoch`
}
