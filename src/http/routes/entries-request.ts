import { parseObject } from './body-object.js'
import { checkKey } from './key.js'
import { RequestError } from './problem.js'

export interface EntriesRequest {
  /** The keys in the order of the request, each once. */
  readonly keys: readonly string[]
  readonly consistency: unknown
}

export const maxKeys = 1_000
const memberNames = ['keys', 'consistency']

/** Returns the keys and the consistency in the body of a request for several entries. Throws 422. */
export function entriesRequest(bytes: Buffer): EntriesRequest {
  const { keys, consistency } = parseObject(bytes, memberNames, 'this request').body
  if (keys === undefined) throw new RequestError(422, 'keys: missing')
  if (!Array.isArray(keys)) throw new RequestError(422, 'keys: must be an array of strings')
  if (keys.length > maxKeys) throw new RequestError(422, `keys: more than ${maxKeys}`)
  return { keys: [...new Set(keys.map((key, index) => checkKey(key, `keys[${index}]`)))], consistency }
}
