import type { Context } from 'koa'
import { checkKey } from '../key.js'
import { RequestError } from '../problem.js'

/** Path of the endpoints of one entry, as a template for people. */
export const entryPath = '/v1/entries/{key}'
export const entryPrefix = '/v1/entries/'

/** Returns the key in the path of a request. Slashes may be encoded or not. Throws 422. */
export function entryKey({ path }: Context): string {
  const key = decodedKey(path.slice(entryPrefix.length))
  if (key === undefined) throw new RequestError(422, 'key: not valid percent-encoded UTF-8')
  return checkKey(key)
}

/** Decodes a key in a path, where `+` is a plus. Returns undefined if the bytes are not valid UTF-8. */
export function decodedKey(text: string): string | undefined {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
