import type { z } from 'zod'
import { RequestError } from '../problem.js'

/**
 * Returns what a schema makes of a value. Throws 422 with the first fault, and the place of it: `keys[3]: must not be
 * empty`. `name` is that of the value itself.
 */
export function checked<Schema extends z.ZodType>(
  schema: Schema,
  given: unknown,
  name = 'body',
): z.output<Schema> {
  const result = schema.safeParse(given)
  if (result.success) return result.data
  const [{ path, message }] = result.error.issues as [z.core.$ZodIssue]
  throw new RequestError(422, `${placeOf(path, name)}: ${message}`)
}

function placeOf(path: readonly PropertyKey[], name: string): string {
  const place = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  return place.startsWith('.') ? place.slice(1) : `${name}${place}`
}
