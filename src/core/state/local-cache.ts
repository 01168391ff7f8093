import { LRUCache } from 'lru-cache'
import type { Entry } from '../entry.js'
import { keyId } from './key-id.js'

export interface LocalCacheBounds {
  /** Maximum number of entries. */
  readonly capacity: number
  /** Maximum size of all keys and values in bytes; undefined for no bound. */
  readonly maxBytes: number | undefined
}

export interface LocalCacheOptions<E = Entry> extends LocalCacheBounds {
  readonly onEvict: () => void
  /** Returns the bytes of an entry that count for the bound; always the same for one entry. */
  readonly bytesOf?: (entry: E) => number
}

/** Something held of a key: an entry, or what is known instead of one. */
export interface HeldOfKey {
  readonly key: string
  readonly value?: string | undefined
  readonly mediaType?: string | undefined
  /** Size of key and value in UTF-8. */
  readonly bytes: number
}

/**
 * Entries by key id, with eviction of the least recently used. The caller checks the time to live: an expired entry may
 * still be wanted, to see whether it was held.
 */
export class LocalCache<E extends HeldOfKey = Entry> {
  readonly #onEvict: () => void
  readonly #bytesOf: (entry: E) => number
  #entries: LRUCache<string, E>

  constructor({ onEvict, bytesOf = heldBytesOf, ...bounds }: LocalCacheOptions<E>) {
    this.#onEvict = onEvict
    this.#bytesOf = bytesOf
    this.#entries = this.#within(bounds)
  }

  #within({ capacity, maxBytes }: LocalCacheBounds): LRUCache<string, E> {
    return new LRUCache<string, E>({
      max: capacity,
      maxSize: maxBytes ?? Number.MAX_SAFE_INTEGER,
      sizeCalculation: this.#bytesOf,
      disposeAfter: (_entry, _id, reason) => {
        if (reason === 'evict') this.#onEvict()
      },
    })
  }

  get size(): number {
    return this.#entries.size
  }

  /** Size of all keys and values in memory, in bytes. */
  get bytes(): number {
    return this.#entries.calculatedSize
  }

  get(id: string): E | undefined {
    return this.#entries.get(id)
  }

  /** Stores an entry. If it is too large for the byte bound, neither it nor its predecessor is held. */
  put(id: string, entry: E): void {
    this.#entries.set(id, entry)
  }

  /** Removes an entry. Returns true if it was held. */
  drop(id: string): boolean {
    return this.#entries.delete(id)
  }

  /** Removes the entries for which `isWrong` returns true. */
  dropWhere(isWrong: (entry: E) => boolean): void {
    for (const entry of [...this.entries()]) if (isWrong(entry)) this.drop(keyId(entry.key))
  }

  /**
   * Changes the bounds, and evicts the least recently used entries beyond them. The library's bounds are fixed at
   * construction, so the entries move to a new instance. This happens within this call, so no change can come in
   * between.
   */
  resize(bounds: LocalCacheBounds): void {
    const { capacity, maxBytes = Number.MAX_SAFE_INTEGER } = bounds
    // Entries without room are removed before the move, which is faster than during it.
    while (this.size > capacity || this.bytes > maxBytes) this.#entries.pop()
    const moved = this.#within(bounds)
    this.#entries.rforEach((entry, id) => moved.set(id, entry))
    this.#entries = moved
  }

  /** Returns true if exactly this entry object is held. Does not count as use. */
  holds(entry: E): boolean {
    return this.#entries.peek(keyId(entry.key)) === entry
  }

  /** Returns all entries, most recently used first. */
  entries(): Iterable<E> {
    return this.#entries.values() as Iterable<E>
  }

  clear(): void {
    this.#entries.clear()
  }

  /** Returns a copy of the ids of all entries. */
  ids(): string[] {
    return [...this.#entries.keys()]
  }

  /** Returns an entry like `get`, but does not count as use. */
  peek(id: string): E | undefined {
    return this.#entries.peek(id)
  }
}

/**
 * Returns `heldBytes` of the texts without scanning them: if the number of bytes equals the number of UTF-16 units,
 * all of it is ASCII.
 */
function heldBytesOf({ key, value, mediaType, bytes }: HeldOfKey): number {
  const units = key.length + (value?.length ?? 0)
  return (bytes === units ? units : 2 * units) + (mediaType?.length ?? 0)
}
