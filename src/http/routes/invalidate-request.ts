import { validateKey } from '../../core/state/validate-key.js'
import type { Selection } from '../../core/writes/invalidation.js'
import { parseObject } from './body-object.js'
import { maxKeys } from './entries-request.js'
import { groupList } from './group.js'
import { checkKey } from './key.js'
import { RequestError } from './problem.js'

const memberNames = ['keys', 'groups', 'prefix', 'all']
const maxGroups = 1_000

/** Returns the entries to remove, from the body of a request. Throws 422, also if the body selects nothing. */
export function invalidateRequest(bytes: Buffer): Selection {
  const { keys = [], groups = [], prefix, all = false } = parseObject(bytes, memberNames, 'this request').body
  if (!Array.isArray(keys)) throw new RequestError(422, 'keys: must be an array of strings')
  if (keys.length > maxKeys) throw new RequestError(422, `keys: more than ${maxKeys}`)
  if (typeof all !== 'boolean') throw new RequestError(422, 'all: must be true or false')
  const selection = {
    keys: [...new Set(keys.map((key, index) => checkKey(key, `keys[${index}]`)))],
    groups: groupList(groups, maxGroups),
    prefix: checkPrefix(prefix),
    all,
  }
  checkSelection(selection)
  return selection
}

function checkPrefix(prefix: unknown): string | undefined {
  if (prefix === undefined) return undefined
  if (typeof prefix !== 'string') throw new RequestError(422, 'prefix: must be a string')
  if (prefix === '')
    throw new RequestError(422, 'prefix: must not be empty; to remove all entries, send "all": true')
  const fault = validateKey(prefix)
  if (fault) throw new RequestError(422, `prefix: ${fault}`)
  return prefix
}

function checkSelection({ keys, groups, prefix, all }: Selection): void {
  const isPart = keys.length > 0 || groups.length > 0 || prefix !== undefined
  if (all && isPart)
    throw new RequestError(422, 'all: removes all entries, so no other member may select some')
  if (!all && !isPart) throw new RequestError(422, 'body: selects nothing; name keys, groups or a prefix')
}
