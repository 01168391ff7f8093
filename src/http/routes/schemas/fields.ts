import { z } from 'zod'
import { parseToken } from '../../../core/state/session-token.js'
import { validateKey } from '../../../core/state/validate-key.js'
import type { JsonValue } from '../../../http-api.js'
import { arrayOf, fault, missingOr } from './faults.js'

/** Schemas of the parts that several requests and responses have. `meta` is for the OpenAPI document only. */

export const key = z
  .string({ error: missingOr('must be a string') })
  .check(fault(validateKey))
  .meta({
    minLength: 1,
    maxLength: 1_024,
    description: '1 to 1,024 bytes of UTF-8, without U+0000.',
    examples: ['user:42'],
  })

/** Any value but null. Its text is checked where it is at hand, because a value keeps all its digits. */
export const value = z
  .custom<NonNullable<JsonValue>>((given) => given !== undefined && given !== null, {
    error: missingOr('must not be null'),
  })
  .meta({
    not: { type: 'null' },
    description: 'Any JSON value except null. Numbers keep all their digits.',
    examples: [{ any: ['JSON'] }],
  })

/** Longest time to live of an entry: 31 years. `CACHE_TTL_SECONDS` has the same limit. */
const longestSeconds = 1_000_000_000
const shortestSeconds = 0.001
const ttlFault = `must be a number of seconds from ${shortestSeconds} to ${longestSeconds}; without it, the entry does not expire`

export const ttlSeconds = z
  .number(ttlFault)
  .min(shortestSeconds, ttlFault)
  .max(longestSeconds, ttlFault)
  .meta({ description: 'Time to live. Without it, the entry does not expire.', examples: [60] })

const maxGroupBytes = 256
/** RFC 9875 asks caches to support at least as many. */
const maxGroupsOfEntry = 32

function groupFault(group: string): string | undefined {
  if (group === '') return 'must not be empty'
  if (group.includes('\0')) return 'must not contain U+0000'
  if (!group.isWellFormed()) return 'contains a lone surrogate'
  if (Buffer.byteLength(group) > maxGroupBytes) return `longer than ${maxGroupBytes} bytes of UTF-8`
  return undefined
}

const group = z
  .string('must be a string')
  .check(fault(groupFault))
  .meta({ minLength: 1, maxLength: maxGroupBytes, examples: ['page:home'] })

/** Does the same as the schema, in less time. */
export function isTtlSeconds(given: unknown): given is number {
  return typeof given === 'number' && given >= shortestSeconds && given <= longestSeconds
}

/** Does the same as the schema, in less time. */
export function isGroups(given: unknown): given is string[] {
  return (
    Array.isArray(given) &&
    given.length <= maxGroupsOfEntry &&
    given.every((name) => typeof name === 'string' && groupFault(name) === undefined)
  )
}

/** Names of up to `max` groups. */
export const groupsUpTo = (max: number) => arrayOf(group, max)
export const groups = groupsUpTo(maxGroupsOfEntry).meta({
  description: 'Names of its groups, of 1 to 256 bytes of UTF-8 each.',
  examples: [['user:42']],
})

const maxKeys = 1_000
export const keys = arrayOf(key, maxKeys).meta({ examples: [['user:42', 'none']] })

export const consistency = z.enum(['bounded', 'strong'], 'must be strong or bounded').meta({
  default: 'bounded',
  description: '`strong`: asks the primary, and returns the latest acknowledged value.',
})

/** Token of a write, which a read must not be older than. An empty one is none. */
export const token = z
  .string()
  .check(
    fault((text) => (text === '' || parseToken(text) ? undefined : 'not one that this service gave out')),
  )
  .meta({
    pattern: '^([A-Za-z0-9_-]{12}(\\.-?[0-9]{1,19}\\.[0-9]{1,20}-[0-9A-F]{8})?)?$',
    description: 'Token of a write. The value that is returned is not older than this write.',
  })
