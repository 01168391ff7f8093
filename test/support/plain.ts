import type { ReadResult } from '../../src/core/reads/read-result.js'

/** What most tests want to know of a read. */
export function plain({ value, forwarded, stale }: ReadResult) {
  return { value, source: forwarded === undefined ? 'cache' : 'db', stale: stale !== undefined }
}
