import type { Version } from '../entry.js'

/** Returns a text that identifies a change of one key. A version contains no space, so no two changes share a name. */
export function changeName(id: string, version: Version): string {
  return `${version} ${id}`
}
