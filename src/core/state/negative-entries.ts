import type { BindingReads, ReadCount } from '../bindings/binding-reads.js'
import type { Absent } from '../entry.js'
import type { Clock } from '../ports.js'
import type { Stats } from '../stats.js'
import { LocalCache, type LocalCacheBounds } from './local-cache.js'
import type { TtlPolicy } from './ttl-policy.js'

export interface NegativeEntriesBounds {
  /** Maximum number of absent keys that are remembered; 0 to remember none. */
  readonly negativeCapacity: number
  /** Maximum size of these keys in bytes; undefined for no bound. */
  readonly maxNegativeBytes?: number | undefined
}

export interface NegativeEntriesParts {
  readonly ttl: TtlPolicy
  /** Counts of bindings; undefined to count nothing. */
  readonly bindingReads?: Pick<BindingReads, 'of'>
  readonly clock: Clock
  readonly stats: Stats
}

/** The absence of a key: the primary has answered that there is no entry. */
export interface NegativeEntry {
  readonly key: string
  readonly value: undefined
  readonly version: undefined
  /** True as in `StoredEntry`. */
  readonly viaOutbox: boolean
  /** Count of the binding of the key; undefined if the key is not bound. */
  readonly reads: ReadCount | undefined
  /** Time at which the store was asked, by the sidecar's monotonic clock, in ms. */
  readonly asOfMs: number
  /** Time of expiry by the same clock. A hit or a changed setting may move it. */
  expiresAtMs: number
  /** Upper bound of the time of expiry; `Infinity` for none. */
  readonly latestExpiryMs: number
  /** Size of the key in UTF-8. */
  readonly bytes: number
}

/**
 * Keys that do not exist, by key id (P14). They have a bound of their own: reads of random keys must not evict entries.
 */
export class NegativeEntries {
  readonly #clock: Clock
  readonly #bindingReads: Pick<BindingReads, 'of'> | undefined
  readonly #local: LocalCache<NegativeEntry>
  #capacity: number
  #ttl: TtlPolicy

  constructor(bounds: NegativeEntriesBounds, { ttl, bindingReads, clock, stats }: NegativeEntriesParts) {
    this.#clock = clock
    this.#bindingReads = bindingReads
    this.#ttl = ttl
    this.#capacity = bounds.negativeCapacity
    this.#local = new LocalCache({ ...localBounds(bounds), onEvict: () => stats.negativeEvictions++ })
  }

  /** Changes the bounds. A shorter time to live counts from now, as for entries. */
  reconfigure(bounds: NegativeEntriesBounds, ttl: TtlPolicy): void {
    this.#capacity = bounds.negativeCapacity
    this.#ttl = ttl
    ttl.shorten(this.#local.entries(), this.#clock.now())
    if (this.#capacity === 0) this.#local.clear()
    this.#local.resize(localBounds(bounds))
  }

  get capacity(): number {
    return this.#capacity
  }

  get size(): number {
    return this.#local.size
  }

  /** Size of the keys in memory, in bytes. */
  get bytes(): number {
    return this.#local.bytes
  }

  /** Returns the absence of a key if it is held and within its time to live. A hit may extend its time to live. */
  hit(id: string, nowMs: number): NegativeEntry | undefined {
    const absence = this.#local.get(id)
    if (absence === undefined) return undefined
    if (absence.expiresAtMs <= nowMs) {
      this.#local.drop(id)
      return undefined
    }
    if (this.#ttl.isSliding)
      absence.expiresAtMs = Math.min(
        absence.latestExpiryMs,
        Math.max(absence.expiresAtMs, nowMs + this.#ttl.drawMs(absence.key)),
      )
    return absence
  }

  /** Remembers that a key did not exist when the store was asked. Returns false if no key may be remembered. */
  put(
    id: string,
    key: string,
    askedMs: number,
    {
      viaOutbox = false,
      remainingMs = Number.POSITIVE_INFINITY,
    }: Pick<Absent, 'viaOutbox' | 'remainingMs'> = {},
  ): boolean {
    if (this.#capacity === 0) return false
    const latestExpiryMs = askedMs + remainingMs
    this.#local.put(id, {
      key,
      value: undefined,
      version: undefined,
      viaOutbox,
      reads: this.#bindingReads?.of(key),
      asOfMs: askedMs,
      expiresAtMs: Math.min(latestExpiryMs, this.#clock.now() + this.#ttl.drawMs(key)),
      latestExpiryMs,
      bytes: Buffer.byteLength(key),
    })
    return true
  }

  /** Returns the ids of all keys that are held. */
  ids(): string[] {
    return this.#local.ids()
  }

  /** Returns the absence if it is held, even if it has expired. Does not mark it as used. */
  peek(id: string): NegativeEntry | undefined {
    return this.#local.peek(id)
  }

  /** Forgets the absence of a key. Returns true if it was held. */
  drop(id: string): boolean {
    return this.#local.drop(id)
  }

  /** Forgets the absences for which `isWrong` returns true. */
  dropWhere(isWrong: (absence: NegativeEntry) => boolean): void {
    this.#local.dropWhere(isWrong)
  }

  clear(): void {
    this.#local.clear()
  }
}

/** Returns the bounds of the map, which must have room for one. */
function localBounds({ negativeCapacity, maxNegativeBytes }: NegativeEntriesBounds): LocalCacheBounds {
  return { capacity: Math.max(1, negativeCapacity), maxBytes: maxNegativeBytes }
}
