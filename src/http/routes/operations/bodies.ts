import { z } from 'zod'
import { component } from '../openapi/components.js'
import { key, value } from '../schemas/fields.js'

/** Schemas of the bodies that several operations have. */

const encoding = z
  .literal('base64')
  .meta({ description: 'Given if the value is binary: it is a string with the bytes in base64.' })

export const expiresInSeconds = z
  .number()
  .min(0)
  .meta({ description: 'Remaining time to live; absent if the entry does not expire.' })

/** Members of a value that may be binary. */
export const valueMembers = { value, encoding: encoding.optional() }

export const readBody = component(
  'Entry',
  z.strictObject({
    key,
    ...valueMembers,
    source: z
      .enum(['cache', 'db'])
      .meta({ description: '`cache`: the value came from memory. `db`: the database was asked.' }),
    stale: z
      .literal(true)
      .optional()
      .meta({ description: 'Given if the value comes from memory without proof that it is fresh.' }),
    expires_in_seconds: expiresInSeconds.optional(),
  }),
)

export const pendingBody = component('Pending', z.strictObject({ pending: z.literal(true) }))
export const etagMember = z
  .string()
  .meta({ description: 'Entity tag, for the condition of a write.', examples: ['"1-2-0A1B2C3D"'] })
export const tokenMember = z
  .string()
  .meta({ description: 'Token of the write, for reads that must see it.', examples: ['EUIZXDAymVXC'] })
