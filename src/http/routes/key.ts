import { validateKey } from '../../core/state/validate-key.js'
import { RequestError } from './problem.js'

/** Throws 422 for an invalid key. `name` is that of the member or parameter. */
export function checkKey(key: unknown, name = 'key'): string {
  if (key === undefined) throw new RequestError(422, `${name}: missing`)
  if (typeof key !== 'string') throw new RequestError(422, `${name}: must be a string`)
  const fault = validateKey(key)
  if (fault) throw new RequestError(422, `${name}: ${fault}`)
  return key
}

export function isKey(key: string): boolean {
  return validateKey(key) === undefined
}
