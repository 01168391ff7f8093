import type { ConditionalAnswer, ConditionalWrite } from '../../core/ports.js'
import { quoteIdentifier } from '../schema/schema-owner.js'
import { epochIn } from '../schema/table-identity.js'
import { arrayLiteral, groupsIn } from './array-literal.js'
import type { SharedExpressions } from './conditional-statement.js'
import { expiryIn } from './expiry.js'
import { leasesIn } from './fill-leases.js'
import { toColumns } from './value.js'
import type { StoredRow } from './written-row.js'

/** Statements that store a value under a lease. */
export interface FillStatements {
  /** Stores the entry $1 with the text $3, the content type $4 and the groups $5, if its lease is $2. */
  readonly fill: string
  /** Does the same as `fill`, with a time to live of $6 ms. */
  readonly fillExpiring: string
}

/** The one row that each of the statements returns. The members of a StoredRow are null if nothing was written. */
export interface FillRow extends Omit<StoredRow, 'key' | 'version'> {
  readonly key: string | null
  readonly version: string | null
  /** True if the lease has ended with this statement. */
  readonly is_held: boolean
  /** True if there is an entry already, or may be: the table has no triggers of others that can leave out a row. */
  readonly may_be_present: boolean
  /** True if the value belongs to a group that the lease does not have. */
  readonly has_other_groups: boolean
}

/**
 * Returns the statements that end a lease and store the value that was computed under it, if the lease has not ended
 * and there is no entry. sql/0010_fill_leases.sql shows why deleting the lease is enough. Without groups, the entry
 * gets those of the lease.
 */
export function fillStatements(
  schemaName: string,
  { remaining, isPlain }: SharedExpressions,
): FillStatements {
  const leases = leasesIn(schemaName)
  const entries = `${quoteIdentifier(schemaName)}.cache_entries`
  const isLease = 'key = $1::text and lease = $2::text and ends_at > clock_timestamp()'
  const hasGroups = "coalesce(groups, '{}'::text[]) operator(pg_catalog.@>) $5::text::text[]"
  const isPresent = `exists (
      select from ${entries} where key = $1::text and (expires_at is null or expires_at > clock_timestamp())
    )`
  const fill = (expiry?: string) => `with ended as (
      delete from ${leases} where ${isLease} and ${hasGroups} returning groups
    ), written as (
      insert into ${entries} (key, value, content_type, groups${expiry ? ', expires_at' : ''})
      select $1::text, $3::text, $4::text, coalesce(${groupsIn('$5')}, groups)${expiry ? `, ${expiry}` : ''} from ended
      on conflict (key) do update
        set value = excluded.value, content_type = excluded.content_type, updated_at = now(), groups = excluded.groups,
          expires_at = ${expiry ? 'excluded.expires_at' : 'default'}
        where cache_entries.expires_at <= clock_timestamp()
      returning key, version, ${remaining}, ${isPlain} as is_as_sent
    )
    select epoch, exists (select from ended) as is_held, ${isPlain} or ${isPresent} as may_be_present,
      exists (select from ${leases} where ${isLease} and not (${hasGroups})) as has_other_groups, written.*
    from ${epochIn(schemaName)} as epoch left join written on true`
  return { fill: fill(), fillExpiring: fill(expiryIn('$6::float8')) }
}

/** Returns the name of the statement for a value. */
export function fillName({ ttlMs }: ConditionalWrite): keyof FillStatements {
  return ttlMs === undefined ? 'fill' : 'fillExpiring'
}

export function fillParameters({
  key,
  value = '',
  mediaType,
  ttlMs,
  groups,
  lease,
}: ConditionalWrite): unknown[] {
  const { text, contentType } = toColumns({ value, mediaType })
  return [key, lease, text, contentType, arrayLiteral(groups), ...(ttlMs === undefined ? [] : [ttlMs])]
}

export function fillAnswerOf(sentKey: string, row: FillRow): ConditionalAnswer {
  const { epoch, key, version, remaining_ms: remainingMs, is_as_sent: isAsSent } = row
  const written =
    key === sentKey && version !== null
      ? { version, epoch, remainingMs: remainingMs ?? undefined, isAsSent }
      : undefined
  const refusal = refusalOf(row)
  return { epoch, before: undefined, isMet: refusal === undefined, refusal, written }
}

function refusalOf({
  has_other_groups,
  is_held,
  key,
  may_be_present,
}: FillRow): ConditionalAnswer['refusal'] {
  if (has_other_groups) return 'other-groups'
  if (!is_held) return 'no-lease'
  return key === null && may_be_present ? 'present' : undefined
}

/**
 * Returns true if the lease has ended and no row was written, although the snapshot shows no entry: a trigger has left
 * the row out, or another client has inserted one meanwhile, which a new snapshot shows.
 */
export function isUndecidedFill({ is_held, key, may_be_present }: FillRow): boolean {
  return is_held && key === null && !may_be_present
}
