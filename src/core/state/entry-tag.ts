import type { Written } from '../entry.js'

/**
 * Identifier of one write of an entry in one history: the opaque part of an entity tag. Versions from before 0.2 can
 * occur again in another history, so the epoch is part of it. The version of a bound row has 32 hexadecimal digits.
 */
export type EntryTag = string

const form = /^(?:\d{1,19}|[0-9a-f]{32})-\d{1,20}-[0-9A-F]{8}$/

export function entryTag({ version, epoch }: Written): EntryTag {
  return `${version}-${epoch}`
}

/** Returns true if an entry can have this tag. */
export function isEntryTag(text: string): text is EntryTag {
  return form.test(text)
}

/** Condition on the entry that a write replaces or deletes. An entry that has expired does not exist. */
export interface WriteCondition {
  /** The entry must have one of these tags, or with `*` must exist. */
  readonly match?: '*' | readonly EntryTag[] | undefined
  /** The entry must have none of these tags, or with `*` must not exist. */
  readonly noneMatch?: '*' | readonly EntryTag[] | undefined
}
