import { z } from 'zod'
import type { PageRequest } from '../../core/reads/listing.js'
import { validateKey } from '../../core/state/validate-key.js'
import { checkedQuery } from './query.js'
import { fault } from './schemas/faults.js'

const defaultLimit = 100
const maxLimit = 1_000
const limitFault = `must be an integer between 1 and ${maxLimit}`
const valuesFault = 'must be true or false'

export const prefix = z
  .string()
  .check(fault((text) => (text === '' ? undefined : validateKey(text))))
  .meta({
    maxLength: 1_024,
    description: 'Beginning of the keys. Without it, all keys.',
    examples: ['user:'],
  })

/** Any text will do: the key after which a page begins need not exist any more. */
const after = z
  .string()
  .check(fault((text) => (text.includes('\0') ? 'must not contain U+0000' : undefined)))
  .meta({ description: 'The page begins after this key.', examples: ['user:1'] })

const limit = z
  .string()
  .regex(/^\d{1,4}$/, limitFault)
  .transform(Number)
  .pipe(z.int().min(1, limitFault).max(maxLimit, limitFault))
  .meta({ default: defaultLimit, description: 'Maximum number of entries in the page.' })

const values = z
  .enum(['true', 'false'], valuesFault)
  .transform((text) => text === 'true')
  .pipe(z.boolean())
  .meta({ default: false, description: 'Each entry has its value as well, if true.' })

export const listQuery = z.strictObject({
  prefix: prefix.optional(),
  limit: limit.optional(),
  after: after.optional(),
  values: values.optional(),
})

export const countQuery = z.strictObject({ prefix: prefix.optional() })

/** Returns the page that a query string asks for. Throws 422. */
export function listRequest(querystring: string): PageRequest {
  const {
    prefix = '',
    limit = defaultLimit,
    after = '',
    values = false,
  } = checkedQuery(querystring, listQuery)
  return { prefix, limit, after, withValues: values }
}

/** Returns the prefix of the keys to count. Throws 422. */
export function countRequest(querystring: string): string {
  return checkedQuery(querystring, countQuery).prefix ?? ''
}
