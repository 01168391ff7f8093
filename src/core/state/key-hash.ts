import { createHash } from 'node:crypto'

/**
 * Stands for a key where that would be too long, or is nobody's business: the hex of the SHA-256 of its UTF-8. In SQL
 * it is `encode(sha256(convert_to(key, 'UTF8')), 'hex')`.
 */
export function keyHash(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}
