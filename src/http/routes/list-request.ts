import type { PageRequest } from '../../core/reads/listing.js'
import { validateKey } from '../../core/state/validate-key.js'
import { RequestError } from './problem.js'
import { parseQuery } from './query.js'

const defaultLimit = 100
const maxLimit = 1_000

/** Returns the page that a query string asks for. Throws 422. */
export function listRequest(querystring: string): PageRequest {
  const { prefix, limit, after, values } = parseQuery(querystring, ['prefix', 'limit', 'after', 'values'])
  return {
    prefix: checkPrefix(prefix),
    limit: checkLimit(limit),
    after: checkAfter(after),
    withValues: checkValues(values),
  }
}

/** Returns the prefix of the keys to count. Throws 422. */
export function countRequest(querystring: string): string {
  return checkPrefix(parseQuery(querystring, ['prefix']).prefix)
}

function checkPrefix(prefix = ''): string {
  const fault = prefix === '' ? undefined : validateKey(prefix)
  if (fault) throw new RequestError(422, `prefix: ${fault}`)
  return prefix
}

/** Any text will do: the key after which a page begins need not exist any more. */
function checkAfter(after = ''): string {
  if (after.includes('\0')) throw new RequestError(422, 'after: must not contain U+0000')
  return after
}

function checkLimit(limit: string | undefined): number {
  if (limit === undefined) return defaultLimit
  const number = /^\d{1,4}$/.test(limit) ? Number(limit) : 0
  if (number < 1 || number > maxLimit)
    throw new RequestError(422, `limit: must be an integer between 1 and ${maxLimit}`)
  return number
}

function checkValues(values = 'false'): boolean {
  if (values !== 'true' && values !== 'false') throw new RequestError(422, 'values: must be true or false')
  return values === 'true'
}
