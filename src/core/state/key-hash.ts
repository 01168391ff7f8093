import { createHash } from 'node:crypto'

/**
 * Returns the hex of the SHA-256 of a key in UTF-8. It replaces a key that would be too long, or that must not be
 * shown. In SQL it is `encode(sha256(convert_to(key, 'UTF8')), 'hex')`.
 */
export function keyHash(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}
