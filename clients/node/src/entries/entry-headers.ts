import type { WriteOptions } from '../api.js'

/** Path and headers of requests about one entry. Their arguments have been checked. */

export function pathOf(key: string): string {
  return `/v1/entries/${encodeURIComponent(key)}`
}

export function ttlHeader(ttlSeconds: number | undefined): { 'Cache-Control'?: string } {
  return ttlSeconds === undefined ? {} : { 'Cache-Control': `max-age=${ttlSeconds}` }
}

/** Returns the groups as a list of strings of RFC 9651. */
export function groupsHeader(groups: readonly string[] | undefined): { 'Cache-Groups'?: string } {
  if (groups === undefined || groups.length === 0) return {}
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
