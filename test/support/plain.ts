import type { ReadResult } from '../../src/core/reads/read-result.js'

/** Returns the part of a read result that most tests check. */
export function plain({ value, forwarded, stale }: ReadResult) {
  return { value, source: forwarded === undefined ? 'cache' : 'db', stale: stale !== undefined }
}
