import { checked } from './schemas/checked.js'
import { groups as groupsSchema } from './schemas/fields.js'

/** Returns the groups of an entry, each once; undefined for none. `name` is that of the member. Throws 422. */
export function entryGroups(groups: unknown, name = 'groups'): readonly string[] | undefined {
  if (groups === undefined) return undefined
  const names = new Set(checked(groupsSchema, groups, name))
  return names.size === 0 ? undefined : [...names]
}
