import { RequestError } from './problem.js'

const maxKeyBytes = 1_024

/** Throws 422 for what no key may be. */
export function checkKey(key: unknown): string {
  if (key === undefined) throw new RequestError(422, 'key: missing')
  if (typeof key !== 'string') throw new RequestError(422, 'key: must be a string')
  const fault = faultOf(key)
  if (fault) throw new RequestError(422, `key: ${fault}`)
  return key
}

export function isKey(key: string): boolean {
  return faultOf(key) === undefined
}

function faultOf(key: string): string | undefined {
  if (key === '') return 'must not be empty'
  if (key.includes('\0')) return 'must not contain U+0000'
  if (!key.isWellFormed()) return 'contains a lone surrogate'
  if (Buffer.byteLength(key) > maxKeyBytes) return `longer than ${maxKeyBytes} bytes of UTF-8`
  return undefined
}
