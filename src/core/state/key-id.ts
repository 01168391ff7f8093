import { keyHash } from './key-hash.js'

/** Maximum size in UTF-8 of keys that appear unhashed in the change feed. */
const maxPlainBytes = 512
/** Length up to which a key certainly fits: no UTF-16 unit takes more than three bytes of UTF-8. */
const surelyPlainLength = Math.floor(maxPlainBytes / 3)

/**
 * Returns the name of a key in the change feed: the key itself or, beyond 512 bytes of UTF-8, U+0000 and the hex of its
 * SHA-256. No key contains U+0000, so the two cannot be confused. `cache_change` in sql/0002_change_feed.sql computes
 * the same.
 */
export function keyId(key: string): string {
  if (key.length <= surelyPlainLength || Buffer.byteLength(key) <= maxPlainBytes) return key
  return `\0${keyHash(key)}`
}

/** Returns true for the name of a key that is too long to be its own name. */
export function isHashed(id: string): boolean {
  return id.startsWith('\0')
}
