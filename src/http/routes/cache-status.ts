import type { ReadResult } from '../../core/reads/read-result.js'

/** Returns the Cache-Status of a read (RFC 9211): `caching-layer; hit; ttl=41`, `caching-layer; fwd=miss; stored`. */
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
  // The status with which an HTTP origin confirms that a stored response is current.
  if (revalidated) status += '; fwd-status=304'
  if (stored) status += '; stored'
  if (collapsed) status += '; collapsed'
  if (stale) status += `; detail=${stale}`
  return status
}
