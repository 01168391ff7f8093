import type { ReadResult } from '../../core/reads/read-result.js'

/** How a read was answered, as RFC 9211 says it: `caching-layer; hit; ttl=41`, `caching-layer; fwd=miss; stored`. */
export function cacheStatus({
  forwarded,
  stale,
  revalidated,
  stored,
  collapsed,
  ttlMs,
}: Omit<ReadResult, 'value' | 'ageMs'>): string {
  let status = forwarded === undefined ? 'caching-layer; hit' : `caching-layer; fwd=${forwarded}`
  if (forwarded === undefined && ttlMs !== undefined && Number.isFinite(ttlMs))
    status += `; ttl=${Math.floor(ttlMs / 1_000)}`
  // What an HTTP origin answers where the version held still holds.
  if (revalidated) status += '; fwd-status=304'
  if (stored) status += '; stored'
  if (collapsed) status += '; collapsed'
  if (stale) status += `; detail=${stale}`
  return status
}
