import { readAttributes } from '../schema/entry-columns.js'

/** Default of the maximum bytes of values that one statement returns. */
export const defaultReadBytes = 64 * 1024 * 1024

/**
 * True if the value is too large ever to be returned. PostgreSQL knows the length of a value without reading the value.
 */
export const isTooLarge = (maxBytes: number) => `octet_length(value)::bigint > ${maxBytes}::bigint`

/** True for a row if the values up to and including it, without those that are too large, exceed `bytes` together. */
export const isBeyond = (maxBytes: number, bytes = String(maxBytes)) =>
  `sum(case when is_unsent or ${isTooLarge(maxBytes)} then 0 else octet_length(value) end)
     over (rows unbounded preceding) > ${bytes}::bigint`

/**
 * Returns a query that limits the bytes of the values in `rows`. That is a query with the columns `value`,
 * `storedAttributes` and `is_unsent` (true if the value need not be sent), among others. `isPostponed` is SQL that is
 * true for a row whose value has to wait; by default, if the values before it leave no room.
 */
export function withinBytes(
  rows: string,
  columns: string,
  maxBytes: number,
  isPostponed = isBeyond(maxBytes),
): string {
  return `select ${columns}, ${readAttributes},
       case when is_unsent or withheld is not null then null else value end as value, withheld
     from (
       select *, case when is_unsent then null when ${isTooLarge(maxBytes)} then 'too-large'
         when ${isPostponed} then 'postponed' end as withheld
       from (${rows}) as found
     ) as sized`
}
