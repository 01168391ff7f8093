import { LRUCache } from 'lru-cache'
import type { Entry, Version } from './entry.js'

export interface LocalCacheOptions {
  /** Most entries held. */
  readonly capacity: number
  /** Most bytes of keys and values held; undefined for no bound. */
  readonly maxBytes: number | undefined
  readonly onEvict: () => void
}

/**
 * Entries by key id, least recently used out first. Time to live is the reader's to check: an expired entry
 * may still be wanted, to see whether it was there.
 */
export class LocalCache {
  readonly #entries: LRUCache<string, Entry>

  constructor({ capacity, maxBytes, onEvict }: LocalCacheOptions) {
    this.#entries = new LRUCache<string, Entry>({
      max: capacity,
      maxSize: maxBytes ?? Number.MAX_SAFE_INTEGER,
      sizeCalculation: (entry) => entry.bytes,
      disposeAfter: (_entry, _id, reason) => {
        if (reason === 'evict') onEvict()
      },
    })
  }

  get size(): number {
    return this.#entries.size
  }

  /** Keys and values held, in UTF-8. */
  get bytes(): number {
    return this.#entries.calculatedSize
  }

  get(id: string): Entry | undefined {
    return this.#entries.get(id)
  }

  /** An entry too large for the byte bound is not held, and neither is its predecessor. */
  put(id: string, entry: Entry): void {
    this.#entries.set(id, entry)
  }

  /** Whether it was there. */
  drop(id: string): boolean {
    return this.#entries.delete(id)
  }

  clear(): void {
    this.#entries.clear()
  }

  /** A copy: what is held now, by id. */
  versions(): { readonly id: string; readonly key: string; readonly version: Version }[] {
    return [...this.#entries.entries()].map(([id, { key, version }]) => ({ id, key, version }))
  }
}
