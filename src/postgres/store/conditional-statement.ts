import type { Version } from '../../core/entry.js'
import type { ConditionalAnswer, ConditionalWrite } from '../../core/ports.js'
import type { EntryTag } from '../../core/state/entry-tag.js'
import { quoteIdentifier } from '../schema/schema-owner.js'
import { epochIn } from '../schema/table-identity.js'
import { arrayLiteral, groupsIn } from './array-literal.js'
import { expiryIn } from './expiry.js'
import { toColumns } from './value.js'
import type { StoredRow } from './written-row.js'

/** Statements of conditional writes. */
export interface ConditionalStatements {
  /** Writes the entry $1 with the text $4, the content type $5 and the groups $6, if its tag fits $2 and $3. */
  readonly writeIf: string
  /** Does the same as `writeIf`, with a time to live of $7 ms. */
  readonly writeIfExpiring: string
  /**
   * Deletes the entry $1, if its tag fits $2 and $3, and if there is no lease of the key. With $4, leases do not
   * matter, because they have been revoked.
   */
  readonly removeIf: string
}

/** Expressions of the other statements that these share. */
export interface SharedExpressions {
  readonly remaining: string
  readonly isPlain: string
  /** True if there is a lease of the key $1. */
  readonly areLeased: string
}

/** The one row that each of the statements returns. The members of a StoredRow are null if nothing was written. */
export interface ConditionalRow extends Omit<StoredRow, 'version'> {
  /** Null also if the row that was deleted had expired: there was no entry, and its absence may not be announced. */
  readonly version: Version | null
  readonly before: string | null
  readonly is_present: boolean
  readonly is_met: boolean
  readonly is_written: boolean
  /** True if nothing was deleted, because a lease has to be revoked first. Only the statement of a delete tells. */
  readonly are_leased?: boolean
}

/**
 * Returns the statements that decide about a condition and write, in one step. The condition is decided about the row
 * that is written, in every interleaving with another transaction under READ COMMITTED:
 *
 *   1. The row changes after our snapshot. `for update` waits for its transaction, and returns the row as it is then. Nobody
 *      can change it until we commit.
 *   2. The row is deleted after our snapshot, or deleted and inserted again. `for update` waits, and returns nothing: the
 *      condition is decided about an absent entry, and there was a moment without an entry since the request arrived.
 *      If it holds, `on conflict` finds the row that was inserted again, as in 3.
 *   3. A row is inserted after our snapshot, which shows none. If the condition wants an entry, it does not hold: there was
 *      none at the time of the snapshot. Otherwise `on conflict` waits for the other transaction. If that rolls back, our row
 *      is inserted. If it commits, nothing is written, and nothing was decided (`is_met`, neither `is_present` nor
 *      `is_written`): the statement is sent again, with a snapshot that shows the row.
 *   4. Two of our own, both for an absent entry: one of them inserts, the other one is in the situation of 3.
 *
 * Under REPEATABLE READ, cases 1 to 3 end with a serialization failure, and the statement is sent again.
 *
 * The locked row shows if there was an entry. `xmax` does not, because it does not tell an expired row from a
 * live one. The tag contains the epoch, so no tag fits in another history, in which a version from before 0.2 may stand
 * for another value. (A null in the array of tags could not be read with array_nulls = off; there is none.)
 */
export function conditionalStatements(
  schemaName: string,
  { remaining, isPlain, areLeased }: SharedExpressions,
): ConditionalStatements {
  const entries = `${quoteIdentifier(schemaName)}.cache_entries`
  const judged = `present as (
      select key, version, expires_at from ${entries} where key = $1 for update
    ), found as (
      select epoch, key is not null as is_present,
        case when expires_at is null or expires_at > clock_timestamp() then version end as before
      from ${epochIn(schemaName)} as epoch left join present on true
    ), judged as (
      select *,
        ${isMetIn('$2::text[]', '$3::text[]')} as is_met
      from found
    )`
  const answer = (written: string, more = '') =>
    `select judged.epoch, before::text as before, is_present, is_met, written.key is not null as is_written, written.*${more}
     from judged left join (${written}) as written on true`
  const returning = `key, version, ${remaining}, ${isPlain} as is_as_sent`
  const write = (groups: string, expiry?: string) => `with ${judged}, updated as (
      update ${entries}
      set value = $4, content_type = $5, updated_at = now(), expires_at = ${expiry ?? 'default'},
        groups = ${groupsIn(groups)}
      from judged where key = $1 and is_met and is_present
      returning ${returning}
    ), inserted as (
      insert into ${entries} (key, value, content_type, groups${expiry ? ', expires_at' : ''})
      select $1, $4, $5, ${groupsIn(groups)}${expiry ? `, ${expiry}` : ''} from judged where is_met and not is_present
      on conflict (key) do nothing
      returning ${returning}
    )
    ${answer('select * from updated union all select * from inserted')}`
  return {
    writeIf: write('$6'),
    writeIfExpiring: write('$6', expiryIn('$7::float8')),
    removeIf: `with ${judged}, removed as (
        delete from ${entries} using judged
        where key = $1 and is_met and is_present and ($4::boolean or not ${areLeased})
        returning key, case when before is not null then '-' || version::text end as version,
          null::json as remaining_ms, ${isPlain} as is_as_sent
      )
      ${answer('select * from removed', `, ${areLeased} as are_leased`)}`,
  }
}

/**
 * Returns SQL for a condition on `before`, the version of an entry, or null if there is none. The arguments are SQL for
 * the tags of both parts of the condition: null for no condition.
 */
export function isMetIn(match: string, noneMatch: string): string {
  const isAmong = (tags: string) => `coalesce(((before::text || '-') || epoch) = any(${tags}), false)`
  return `(
    case when ${match} is null then true
      when '*'::text = any(${match}) then before is not null
      else ${isAmong(match)} end
    and case when ${noneMatch} is null then true
      when '*'::text = any(${noneMatch}) then before is null
      else not ${isAmong(noneMatch)} end
  )`
}

/** Returns the name of the statement for a write. */
export function conditionalName({ value, ttlMs }: ConditionalWrite): keyof ConditionalStatements {
  if (value === undefined) return 'removeIf'
  return ttlMs === undefined ? 'writeIf' : 'writeIfExpiring'
}

/** Returns the parameters of the statement. */
export function conditionalParameters(
  { key, value, mediaType, ttlMs, groups, condition }: ConditionalWrite,
  isRevoked = false,
): unknown[] {
  const tags = [tagsOf(condition.match), tagsOf(condition.noneMatch)]
  if (value === undefined) return [key, ...tags, isRevoked]
  const { text, contentType } = toColumns({ value, mediaType })
  return [key, ...tags, text, contentType, arrayLiteral(groups), ...(ttlMs === undefined ? [] : [ttlMs])]
}

/** Returns the tags of a part of a condition as they are sent. No tag is `*`. */
export function tagsOf(tags: '*' | readonly EntryTag[] | undefined): readonly string[] | null {
  return tags === '*' ? ['*'] : (tags ?? null)
}

/** Returns true if another transaction has inserted the row meanwhile, or a trigger has left it out. */
export function isUndecided({ is_met, is_present, is_written }: ConditionalRow): boolean {
  return is_met && !is_present && !is_written
}

/** Returns the answer of a row. A trigger may have renamed the row: then it is not the entry that was written. */
export function conditionalAnswerOf(key: string, row: ConditionalRow): ConditionalAnswer {
  const { epoch, before, is_met: isMet, version, remaining_ms: remainingMs, is_as_sent: isAsSent } = row
  const isWritten = row.key === key && version !== null
  const written = isWritten ? { version, epoch, remainingMs: remainingMs ?? undefined, isAsSent } : undefined
  return { epoch, before: before ?? undefined, isMet, written }
}
