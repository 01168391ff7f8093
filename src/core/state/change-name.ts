import type { Version } from '../entry.js'

/** One text for a change of one key. A version has no space in it, so no two changes share a name. */
export function changeName(id: string, version: Version): string {
  return `${version} ${id}`
}
