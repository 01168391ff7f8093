import { exactMs } from '../schema/exact-number.js'

/** SQL for the remaining time to live of a row, in ms, by the database's clock; null if it does not expire. */
export const remainingMs = `case when isfinite(expires_at)
    then ${exactMs('expires_at - clock_timestamp()')} end as remaining_ms`

/**
 * Returns SQL for the time at which a row expires that is written now and has this time to live, in ms. Only the
 * database's clock decides (P12).
 */
export function expiryIn(ttlMs: string): string {
  return `clock_timestamp() + ${ttlMs} * interval '1 millisecond'`
}
