import { RequestError } from './problem.js'

const maxKeyBytes = 1_024

/** The one `key` of a query string. Throws 422. */
export function keyFromQuery(querystring: string): string {
  let key: string | undefined
  for (const part of querystring.split('&')) {
    const equals = part.indexOf('=')
    const name = decode(equals < 0 ? part : part.slice(0, equals))
    if (name !== 'key') continue
    if (key !== undefined) throw new RequestError(422, 'key: given more than once')
    key = decode(equals < 0 ? '' : part.slice(equals + 1))
    if (key === undefined) throw new RequestError(422, 'key: not valid percent-encoded UTF-8')
  }
  return checkKey(key)
}

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

/** As forms are encoded: `+` is a space. Undefined for what decodes to no text. */
function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
