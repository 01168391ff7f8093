import type { WriteOptions } from '../api.js'
import { CachingLayerError } from '../caching-layer-error.js'

/** Path and headers of requests about one entry. All functions throw a CachingLayerError of the kind `invalid-value`. */

export function pathOf(key: string): string {
  if (!key.isWellFormed())
    throw new CachingLayerError({ kind: 'invalid-value', detail: 'key: contains a lone surrogate' })
  return `/v1/entries/${encodeURIComponent(key)}`
}

export function ttlHeader(ttlSeconds: number | undefined): { 'Cache-Control'?: string } {
  if (ttlSeconds === undefined) return {}
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1)
    throw new CachingLayerError({
      kind: 'invalid-value',
      detail: 'ttlSeconds: must be a whole number from 1 on',
    })
  return { 'Cache-Control': `max-age=${ttlSeconds}` }
}

/** Returns the groups as a list of strings of RFC 9651, which has only printable ASCII. */
export function groupsHeader(groups: readonly string[] | undefined): { 'Cache-Groups'?: string } {
  if (groups === undefined || groups.length === 0) return {}
  if (groups.some((group) => !/^[ -~]+$/.test(group)))
    throw new CachingLayerError({
      kind: 'invalid-value',
      detail: 'groups: must be of printable ASCII, and not empty',
    })
  return { 'Cache-Groups': groups.map((group) => `"${group.replaceAll(/["\\]/g, '\\$&')}"`).join(', ') }
}

export function conditionHeaders({
  ifMatch,
  ifNoneMatch,
}: Pick<WriteOptions, 'ifMatch' | 'ifNoneMatch'>): Readonly<Record<string, string>> {
  return {
    ...(ifMatch !== undefined && { 'If-Match': ifMatch }),
    ...(ifNoneMatch !== undefined && { 'If-None-Match': ifNoneMatch }),
  }
}
