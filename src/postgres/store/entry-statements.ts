import { readAttributes, storedAttributes } from '../schema/entry-columns.js'
import { quoteIdentifier } from '../schema/schema-owner.js'
import { epochIn, lineageIn } from '../schema/table-identity.js'
import { isPlainIn } from '../schema/table-triggers.js'
import { groupsIn } from './array-literal.js'
import { type ConditionalStatements, conditionalStatements } from './conditional-statement.js'
import { expiryIn, remainingMs } from './expiry.js'
import { areLeasedIn, revocationIn } from './fill-leases.js'
import { type FillStatements, fillStatements } from './fill-statement.js'
import { type SettleStatements, settleStatements } from './settle-statement.js'
import { isHeld } from './value-digest.js'
import { defaultReadBytes, isBeyond, withinBytes } from './value-limit.js'

/*
 * The statements of the store. They qualify all our tables and functions with their schema.
 *
 * If every role may create functions in `public`, a function public.concat_ws(text, bigint) of another role is found
 * before PostgreSQL's own, which takes arguments of any type. So functions of that kind are qualified with their
 * schema, here and in all other statements, and operators get operands of exactly their types. (An unnest of several
 * arrays is syntax, and always PostgreSQL's own.)
 */

export interface EntryStatements extends SettleStatements, ConditionalStatements, FillStatements {
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
  /**
   * Returns the versions of the keys $1. If there are none, one row without a key shows that the epoch is $2; otherwise
   * no rows.
   */
  readonly versions: string
  readonly writeOne: string
  readonly writeMany: string
  /** Writes one entry, like `writeOne`, with the groups $4. */
  readonly writeOneGrouped: string
  /** Writes entries, like `writeMany`, with the groups $4. */
  readonly writeManyGrouped: string
  /** Writes one entry, like `writeOne`, with a time to live of $4 ms and the groups $5. */
  readonly writeOneExpiring: string
  /** Writes entries, like `writeMany`, with times to live of $4 ms and the groups $5. */
  readonly writeManyExpiring: string
  /**
   * Deletes the entries $1, and tells whether there are leases of these keys, which `revoke` has to end, and which
   * entries a trigger may have kept.
   */
  readonly remove: string
  /** Revokes the leases of the keys $1, and announces that. */
  readonly revoke: string
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
}

/** Age up to which sidecars share the last mark. So a fleet writes at most one mark in this time. */
const markAgeSeconds = 5
/** Number of marks that are kept: 14 hours of continuous writing. Older ones are deleted. */
const marksKept = 10_000

/** Parts of the statements for writes of each form. The column's default decides when a row expires, or the sender. */
const byDefault = { columns: '', expiresAt: 'default', groups: 'null' }
const grouped = { columns: ', groups', expiresAt: 'default', groups: 'excluded.groups' }
const bySender = {
  columns: ', expires_at, groups',
  expiresAt: 'excluded.expires_at',
  groups: 'excluded.groups',
}

export function entryStatements(schemaName: string, maxReadBytes = defaultReadBytes): EntryStatements {
  const schema = quoteIdentifier(schemaName)
  const entries = `${schema}.cache_entries`
  const epoch = `(select ${epochIn(schemaName)})`
  const lineage = lineageIn(schemaName)
  const remaining = remainingMs

  /**
   * Inserts or updates entries. The version comes from the trigger, not from `excluded`, which was stamped before the
   * conflict was found:
   *   1. our row is stamped 7 and waits for the lock     3. ours goes through, and is stamped again: 9
   *   2. another session's update, stamped 8, commits    4. `excluded.version` would take the row back to 7
   * A write without a time to live names no expiry, so that the default of the column applies, which is null unless
   * somebody has set another one. That takes statements of its own, because no expression of SQL stands for a default.
   */
  const upsert = (rows: string, { columns, expiresAt, groups }: typeof byDefault = byDefault) =>
    `insert into ${entries} (key, value, content_type${columns}) ${rows}
     on conflict (key) do update
       set value = excluded.value, content_type = excluded.content_type, updated_at = now(),
         expires_at = ${expiresAt}, groups = ${groups}
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
      found(`${storedAttributes}, value, ${isHeld} as is_unsent`, wanted),
      'key, version, epoch, remaining_ms',
      maxReadBytes,
      isPostponed,
    )

  const areLeased = (hashes: string) => areLeasedIn(schemaName, hashes)
  const expressions = {
    remaining,
    isPlain: isPlainIn(schemaName),
    areLeased: areLeased('select hashtextextended($1::text, 0::bigint)'),
  }

  const position = (hasMark: string) =>
    `select ${epochIn(schemaName)} as epoch, ((last_value << 24) | 16777215::bigint)::text as latest,
       ${hasMark} as has_mark
     from ${schema}.cache_version`

  return {
    readOne: select('false', `${entries} on key = $1`, 'false'),
    readMany: found(
      `${readAttributes}, case when ${isShort} then value end as value,
       case when not ${isShort} then 'postponed' end as withheld`,
      `${entries} on key = any($1)`,
    ),
    readLarge: select('false', `${entries} on key = any($1)`, isBeyond(maxReadBytes, '$2')),
    readWhatIsNotHeld: select(
      `version = held_version and epoch = held_epoch and ${isHeld('cache_entries')}`,
      `(unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[])
         as wanted (key, held_version, held_epoch, held_type, held_digest) join ${entries} using (key)) on true`,
    ),
    versions: `select key, version from ${epochIn(schemaName)} as epoch left join ${entries} on key = any($1)
      where epoch = $2`,
    locked: `select key from ${entries} where key = any($1)
      except select key from (select key from ${entries} where key = any($1) for update skip locked) as free`,
    writeOne: upsert('values ($1, $2, $3)'),
    // Another client of the pooler may have left array_nulls = off in the session: then a null reads as 'NULL'.
    writeMany: upsert(
      `select key, value, nullif(content_type, 'NULL'::text)
       from unnest($1::text[], $2::text[], $3::text[]) as written (key, value, content_type)
       order by key collate "C"`,
    ),
    writeOneGrouped: upsert(`values ($1, $2, $3, ${groupsIn('$4')})`, grouped),
    writeManyGrouped: upsert(
      `select key, value, nullif(content_type, 'NULL'::text), ${groupsIn('groups')}
       from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as written (key, value, content_type, groups)
       order by key collate "C"`,
      grouped,
    ),
    writeOneExpiring: upsert(`values ($1, $2, $3, ${expiryIn('$4::float8')}, ${groupsIn('$5')})`, bySender),
    writeManyExpiring: upsert(
      `select key, value, nullif(content_type, 'NULL'::text), ${expiryIn('ttl_ms')}, ${groupsIn('groups')}
       from unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::text[])
         as written (key, value, content_type, ttl_ms, groups)
       order by key collate "C"`,
      bySender,
    ),
    // For a row that has expired there is no version: there was no entry, and its absence may not be announced.
    remove: `with removed as (
        delete from ${entries}
        where key in (select key from ${entries} where key = any($1) order by key collate "C" for update)
        returning key, case when expires_at is null or expires_at > clock_timestamp() then '-' || version::text end
          as version
      )
      select key, version, epoch, ${isPlainIn(schemaName)} as is_as_sent,
        ${areLeased('select hashtextextended(name, 0::bigint) from unnest($1::text[]) as name')} as are_leased,
        (
          select array_agg(key::text) from ${entries}
          where not ${isPlainIn(schemaName)} and key = any($1) and key not in (select key from removed)
            and (expires_at is null or expires_at > clock_timestamp())
        ) as left_in
      from ${epochIn(schemaName)} as epoch left join removed on true`,
    revoke: revocationIn(schemaName),
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
    ...settleStatements(schemaName),
    ...conditionalStatements(schemaName, expressions),
    ...fillStatements(schemaName, expressions),
  }
}
