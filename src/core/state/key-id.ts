import { keyHash } from './key-hash.js'

/** Keys of up to this many bytes of UTF-8 are named by themselves in the change feed. */
const maxPlainBytes = 512
/** No UTF-16 unit takes more than three bytes of UTF-8: at this length a key cannot be longer than that. */
const surelyPlainLength = Math.floor(maxPlainBytes / 3)

/**
 * The name under which changes speak of a key: the key itself, or, past 512 bytes of UTF-8, U+0000 and the
 * hex of its SHA-256. No key holds U+0000, so the two cannot be confused. `cache_change` in
 * sql/0002_change_feed.sql computes the same.
 */
export function keyId(key: string): string {
  if (key.length <= surelyPlainLength || Buffer.byteLength(key) <= maxPlainBytes) return key
  return `\0${keyHash(key)}`
}
