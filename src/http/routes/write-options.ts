import type { WriteOptions } from '../../core/ports.js'
import { ttlMs } from './ttl-seconds.js'

/** Members of a body, as their schemas have accepted them. */
export interface OptionMembers {
  readonly ttl_seconds?: number | undefined
  readonly groups?: readonly string[] | undefined
}

/** Returns the options of a write. */
export function writeOptions({ ttl_seconds, groups = [] }: OptionMembers): WriteOptions {
  return {
    ttlMs: ttl_seconds === undefined ? undefined : ttlMs(ttl_seconds),
    groups: distinctGroups(groups),
  }
}

/** Returns the groups, each once; undefined for none. */
export function distinctGroups(groups: readonly string[]): readonly string[] | undefined {
  return groups.length === 0 ? undefined : [...new Set(groups)]
}
