import type { PendingWrite, Version } from '../entry.js'
import { hasCode } from '../errors.js'
import type { CacheState } from '../state/cache-state.js'
import { keyId } from '../state/key-id.js'
import type { Delivery } from './delivery.js'
import type { PendingWrites } from './pending-writes.js'

/** Entries to remove: those that match at least one member. */
export interface Selection {
  readonly keys: readonly string[]
  /** Names of groups. */
  readonly groups: readonly string[]
  /** Beginning of keys; undefined to select none by their beginning. */
  readonly prefix: string | undefined
  /** True for all entries. */
  readonly all: boolean
}

/** Entries that the store has removed. */
export interface Removal {
  /** Number of entries that were removed. */
  readonly count: number
  /** Key and version of each; undefined if there were too many to name. */
  readonly rows: readonly { readonly key: string; readonly version: Version }[] | undefined
}

export interface EntryRemover {
  /** Removes the selected entries in one statement. Rejects with a CacheError. */
  remove(selection: Selection): Promise<Removal>
}

export interface InvalidationParts {
  readonly remover: EntryRemover
  readonly state: CacheState
  readonly pending: PendingWrites
  readonly delivery: Delivery
}

/**
 * Removes entries by key, group or prefix from the store, then from memory. Nothing is kept during an outage, because
 * nobody can tell then which entries there are.
 */
export class Invalidation {
  readonly #parts: InvalidationParts

  constructor(parts: InvalidationParts) {
    this.#parts = parts
  }

  /**
   * Returns the number of entries that were removed from the store. Rejects with a CacheError if nothing was removed,
   * or if the outcome is unknown.
   */
  async remove(selection: Selection): Promise<number> {
    const { remover, pending, delivery } = this.#parts
    // Otherwise, a pending write that is older than this request would be sent after it.
    if (pending.size > 0) await delivery.send()
    try {
      const { count, rows } = await remover.remove(selection)
      this.#apply(selection, rows)
      return count
    } catch (error) {
      if (hasCode(error, 'outcome-unknown')) this.#apply(selection, undefined)
      throw error
    }
  }

  /** Drops what was removed, also where the store had no entry. `rows` is undefined if it is not known. */
  #apply(selection: Selection, rows: Removal['rows']): void {
    const { state, pending, delivery } = this.#parts
    for (const [id, write] of [...pending]) if (isSelected(write, selection)) delivery.drop(id)
    for (const key of selection.keys) state.apply(keyId(key), undefined)
    if (rows === undefined) state.dropAll()
    else for (const { key, version } of rows) state.removed(keyId(key), version)
  }
}

/** Returns true if the write is one of those that the store could not take before the removal, and is part of it. */
function isSelected({ key, groups = [] }: PendingWrite, selection: Selection): boolean {
  const { keys, prefix, all } = selection
  const isNamed = all || keys.includes(key) || (prefix !== undefined && key.startsWith(prefix))
  return isNamed || groups.some((group) => selection.groups.includes(group))
}
