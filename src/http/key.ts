import { RequestError } from './problem.js'

const maxKeyBytes = 1_024

/** Throws 422 for what no key may be. */
export function checkKey(key: unknown): string {
  if (key === undefined) throw new RequestError(422, 'key: missing')
  if (typeof key !== 'string') throw new RequestError(422, 'key: must be a string')
  if (key === '') throw new RequestError(422, 'key: must not be empty')
  if (key.includes('\0')) throw new RequestError(422, 'key: must not contain U+0000')
  if (!key.isWellFormed()) throw new RequestError(422, 'key: contains a lone surrogate')
  if (Buffer.byteLength(key) > maxKeyBytes) {
    throw new RequestError(422, `key: longer than ${maxKeyBytes} bytes of UTF-8`)
  }
  return key
}
