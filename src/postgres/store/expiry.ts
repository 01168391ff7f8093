/**
 * Returns SQL for the time at which a row expires that is written now and has this time to live, in ms. Only the
 * database's clock decides (P12).
 */
export function expiryIn(ttlMs: string): string {
  return `clock_timestamp() + ${ttlMs} * interval '1 millisecond'`
}
