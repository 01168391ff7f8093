import { z } from 'zod'
import { validateKey } from '../../core/state/validate-key.js'
import type { Selection } from '../../core/writes/invalidation.js'
import { parseObject } from './body-object.js'
import { checked } from './schemas/checked.js'
import { fault } from './schemas/faults.js'
import { groupsUpTo, keys } from './schemas/fields.js'

const maxGroups = 1_000

const prefix = z
  .string('must be a string')
  .check(
    fault((text) =>
      text === '' ? 'must not be empty; to remove all entries, send "all": true' : validateKey(text),
    ),
  )
  .meta({ minLength: 1, maxLength: 1_024, examples: ['user:'] })

const members = z.strictObject({
  keys: keys.optional(),
  groups: groupsUpTo(maxGroups)
    .optional()
    .meta({ examples: [['user:42']] }),
  prefix: prefix.optional(),
  all: z.boolean('must be true or false').optional().meta({ description: 'All entries, if true.' }),
})

/** Body of a request to remove entries. It must select some. */
export const invalidateBody = members.check(({ value, issues }) => {
  const { keys = [], groups = [], prefix, all = false } = value
  const isPart = keys.length > 0 || groups.length > 0 || prefix !== undefined
  const refuse = (path: PropertyKey[], message: string) =>
    issues.push({ code: 'custom', path, message, input: value })
  if (all && isPart) refuse(['all'], 'removes all entries, so no other member may select some')
  if (!all && !isPart) refuse([], 'selects nothing; name keys, groups or a prefix')
})

/** Returns the entries to remove, from the body of a request. Throws 422, also if the body selects nothing. */
export function invalidateRequest(bytes: Buffer): Selection {
  const { body } = parseObject(bytes, Object.keys(members.shape), 'this request')
  const { keys = [], groups = [], prefix, all = false } = checked(invalidateBody, body)
  return { keys: [...new Set(keys)], groups: [...new Set(groups)], prefix, all }
}
