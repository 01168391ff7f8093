import type { BindingReads } from '../bindings/binding-reads.js'
import type { Entry, Epoch, StoredEntry } from '../entry.js'
import type { Clock } from '../ports.js'
import type { Stats } from '../stats.js'
import { heldKeys } from './held-keys.js'
import { LocalCache, type LocalCacheBounds } from './local-cache.js'
import type { TtlPolicy } from './ttl-policy.js'

export interface HeldEntriesParts {
  readonly ttl: TtlPolicy
  readonly bindingReads: Pick<BindingReads, 'of'>
  readonly clock: Clock
  readonly stats: Stats
}

/** The entries in memory, each with its time to live (P12). */
export class HeldEntries {
  readonly #clock: Clock
  readonly #bindingReads: Pick<BindingReads, 'of'>
  readonly #local: LocalCache
  #bounds: LocalCacheBounds
  #ttl: TtlPolicy

  constructor(bounds: LocalCacheBounds, { ttl, bindingReads, clock, stats }: HeldEntriesParts) {
    this.#clock = clock
    this.#bindingReads = bindingReads
    this.#bounds = bounds
    this.#ttl = ttl
    this.#local = new LocalCache({
      capacity: bounds.capacity,
      maxBytes: bounds.maxBytes,
      onEvict: () => stats.evictions++,
    })
  }

  /**
   * Changes the bounds. For entries that are held, a shorter time to live counts from now, so that they do not all
   * expire at once; a longer one applies from the next fill.
   */
  reconfigure(bounds: LocalCacheBounds, ttl: TtlPolicy): void {
    const { capacity, maxBytes } = this.#bounds
    this.#bounds = bounds
    this.#ttl = ttl
    ttl.shorten(this.#local.entries(), this.#clock.now())
    if (bounds.capacity !== capacity || bounds.maxBytes !== maxBytes) this.#local.resize(bounds)
  }

  get size(): number {
    return this.#local.size
  }

  /** Size of all keys and values in memory, in bytes. */
  get bytes(): number {
    return this.#local.bytes
  }

  /** Returns the entry if it is held and within its time to live. A hit may extend its time to live. */
  hit(id: string, nowMs: number): Entry | undefined {
    const entry = this.#local.get(id)
    if (entry === undefined || entry.expiresAtMs <= nowMs) return undefined
    if (this.#ttl.isSliding) this.#slide(entry, nowMs)
    return entry
  }

  #slide(entry: Entry, nowMs: number): void {
    const anewMs = Math.min(nowMs + this.#ttl.drawMs(entry.key), entry.rowExpiresAtMs)
    if (anewMs > entry.expiresAtMs) entry.expiresAtMs = anewMs
  }

  /** Returns the entry if it is held and within its time to live. */
  usable(id: string, nowMs: number): Entry | undefined {
    const entry = this.#local.get(id)
    return entry !== undefined && entry.expiresAtMs > nowMs ? entry : undefined
  }

  /** Returns the entry if it is held, even if it has expired, and marks it as used. */
  held(id: string): Entry | undefined {
    return this.#local.get(id)
  }

  /** Returns the entry if it is held, even if it has expired. Does not mark it as used. */
  peek(id: string): Entry | undefined {
    return this.#local.peek(id)
  }

  /** Returns the ids of all keys that are held. */
  ids(): string[] {
    return this.#local.ids()
  }

  /** Returns the keys of all entries, including expired ones, most recently used first. */
  keys(): Promise<string[]> {
    return heldKeys(this.#local, this.#clock)
  }

  /**
   * Holds an entry of this epoch, for which the store was asked at `askedMs`. `asOfMs` is given for the answer of a
   * replica only. The remaining time that the database computed counts from the moment at which it was asked, or from
   * later (P12).
   */
  put(id: string, stored: StoredEntry, epoch: Epoch, askedMs: number, asOfMs = askedMs): void {
    const { key, value, mediaType, version, remainingMs, isComparable, viaOutbox = false } = stored
    const rowExpiresAtMs = askedMs + (remainingMs ?? Number.POSITIVE_INFINITY)
    this.#local.put(id, {
      key,
      value,
      mediaType,
      version,
      epoch,
      isComparable,
      viaOutbox,
      reads: this.#bindingReads.of(key),
      asOfMs,
      expiresAtMs: Math.min(this.#clock.now() + this.#ttl.drawMs(key), rowExpiresAtMs),
      rowExpiresAtMs,
      bytes: Buffer.byteLength(key) + Buffer.byteLength(value),
    })
  }

  /** Removes an entry. Returns true if it was held. */
  drop(id: string): boolean {
    return this.#local.drop(id)
  }

  /** Removes the entries for which `isWrong` returns true. */
  dropWhere(isWrong: (entry: Entry) => boolean): void {
    this.#local.dropWhere(isWrong)
  }

  clear(): void {
    this.#local.clear()
  }
}
