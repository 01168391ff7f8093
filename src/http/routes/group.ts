import { RequestError } from './problem.js'

const maxGroupBytes = 256
/** As many as RFC 9875 asks of caches. */
const maxGroupsOfEntry = 32

/** Returns the groups of an entry; undefined for none. Throws 422. */
export function entryGroups(groups: unknown, name?: string): readonly string[] | undefined {
  if (groups === undefined) return undefined
  const names = groupList(groups, maxGroupsOfEntry, name)
  return names.length === 0 ? undefined : names
}

/** Returns the names of groups in a member or header `name`, each once. Throws 422. */
export function groupList(groups: unknown, maxGroups: number, name = 'groups'): readonly string[] {
  if (!Array.isArray(groups)) throw new RequestError(422, `${name}: must be an array of strings`)
  if (groups.length > maxGroups) throw new RequestError(422, `${name}: more than ${maxGroups}`)
  return [...new Set(groups.map((group, index) => checkGroup(group, `${name}[${index}]`)))]
}

function checkGroup(group: unknown, name: string): string {
  if (typeof group !== 'string') throw new RequestError(422, `${name}: must be a string`)
  if (group === '') throw new RequestError(422, `${name}: must not be empty`)
  if (group.includes('\0')) throw new RequestError(422, `${name}: must not contain U+0000`)
  if (!group.isWellFormed()) throw new RequestError(422, `${name}: contains a lone surrogate`)
  if (Buffer.byteLength(group) > maxGroupBytes)
    throw new RequestError(422, `${name}: longer than ${maxGroupBytes} bytes of UTF-8`)
  return group
}
