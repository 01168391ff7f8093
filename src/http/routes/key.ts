import { validateKey } from '../../core/state/validate-key.js'
import { RequestError } from './problem.js'

/** Throws 422 for an invalid key. */
export function checkKey(key: unknown): string {
  if (key === undefined) throw new RequestError(422, 'key: missing')
  if (typeof key !== 'string') throw new RequestError(422, 'key: must be a string')
  const fault = validateKey(key)
  if (fault) throw new RequestError(422, `key: ${fault}`)
  return key
}

export function isKey(key: string): boolean {
  return validateKey(key) === undefined
}
