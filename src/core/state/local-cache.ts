import { LRUCache } from 'lru-cache'
import type { Entry } from '../entry.js'
import { keyId } from './key-id.js'

export interface LocalCacheBounds {
  /** Most entries held. */
  readonly capacity: number
  /** Most bytes of keys and values held; undefined for no bound. */
  readonly maxBytes: number | undefined
}

export interface LocalCacheOptions extends LocalCacheBounds {
  readonly onEvict: () => void
}

/**
 * Entries by key id, least recently used out first. Time to live is the reader's to check: an expired entry
 * may still be wanted, to see whether it was there.
 */
export class LocalCache {
  readonly #onEvict: () => void
  #entries: LRUCache<string, Entry>

  constructor({ onEvict, ...bounds }: LocalCacheOptions) {
    this.#onEvict = onEvict
    this.#entries = this.#within(bounds)
  }

  #within({ capacity, maxBytes }: LocalCacheBounds): LRUCache<string, Entry> {
    return new LRUCache<string, Entry>({
      max: capacity,
      maxSize: maxBytes ?? Number.MAX_SAFE_INTEGER,
      sizeCalculation: heldBytesOf,
      disposeAfter: (_entry, _id, reason) => {
        if (reason === 'evict') this.#onEvict()
      },
    })
  }

  get size(): number {
    return this.#entries.size
  }

  /** Bytes that the keys and values take in memory. */
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

  /**
   * New bounds for what is held; past them, what was not used for longest goes. The library takes its bounds once and
   * for all, so the entries move. They do within this call: no change can come between them.
   */
  resize(bounds: LocalCacheBounds): void {
    const { capacity, maxBytes = Number.MAX_SAFE_INTEGER } = bounds
    // Those without room go before, which is quicker than on the way.
    while (this.size > capacity || this.bytes > maxBytes) this.#entries.pop()
    const moved = this.#within(bounds)
    this.#entries.rforEach((entry, id) => moved.set(id, entry))
    this.#entries = moved
  }

  /** This very one. Does not count as use. */
  holds(entry: Entry): boolean {
    return this.#entries.peek(keyId(entry.key)) === entry
  }

  /** What was used last comes first. */
  entries(): Iterable<Entry> {
    return this.#entries.values() as Iterable<Entry>
  }

  clear(): void {
    this.#entries.clear()
  }

  /** A copy: the ids of what is held now. */
  ids(): string[] {
    return [...this.#entries.keys()]
  }

  /** As `get`, and does not count as use. */
  peek(id: string): Entry | undefined {
    return this.#entries.peek(id)
  }
}

/** As `heldBytes` of both texts, without looking at them: as many bytes as UTF-16 units means that all of it is ASCII. */
function heldBytesOf({ key, value, bytes }: Entry): number {
  const units = key.length + value.length
  return bytes === units ? units : 2 * units
}
