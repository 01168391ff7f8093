/**
 * Returns SQL for a number that the client receives exactly. As a `float8`, it would be rounded to one digit if another
 * client of a pooler has left `extra_float_digits = -15` in the session:
 *
 *   1. An entry has 1,664 ms to live. A sidecar reads it, and is told 2,000 ms.
 *   2. The entry expires. For 336 ms more, the sidecar serves it as fresh.
 *
 * A `numeric` does not depend on the session, and the driver parses JSON into a number.
 *
 * @param numeric SQL of type numeric
 */
export function exactNumber(numeric: string): string {
  return `pg_catalog.to_json(${numeric})`
}

/** Returns SQL for an interval in ms, to be received exactly. */
export function exactMs(interval: string): string {
  return exactNumber(`extract(epoch from ${interval}) * 1000.0`)
}
