import { validateKey } from '../../core/state/validate-key.js'
import { checked } from './schemas/checked.js'
import { key as keySchema } from './schemas/fields.js'

/** Throws 422 for an invalid key. `name` is that of the member or parameter. */
export function checkKey(key: unknown, name = 'key'): string {
  return checked(keySchema, key, name)
}

export function isKey(key: string): boolean {
  return validateKey(key) === undefined
}
