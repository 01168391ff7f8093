/** Settings of the cache that responses show. */
export interface CacheLimits {
  readonly capacity: number
  readonly ttlSeconds: number
}

export function limitMembers({ capacity, ttlSeconds }: CacheLimits): {
  capacity: number
  ttl_seconds: number
} {
  return { capacity, ttl_seconds: ttlSeconds }
}
