import { Batcher } from './batcher.js'
import type { Base, Change, Entry, StoredEntry, Value, Version } from './entry.js'
import { CacheError, hasCode } from './errors.js'
import { Flights, type Token } from './flights.js'
import { KeptWrites } from './kept-writes.js'
import { keyId } from './key-id.js'
import { LastHeard } from './last-heard.js'
import { type FeedState, Lease } from './lease.js'
import { LocalCache } from './local-cache.js'
import type { ChangeFeedHandler, Clock, Log, Store } from './ports.js'
import { Revalidation } from './revalidation.js'
import { Slots } from './slots.js'
import { Stats } from './stats.js'

export interface CacheOptions {
  readonly capacity: number
  readonly maxBytes: number | undefined
  /** `Infinity` for no local expiry. */
  readonly ttlMs: number
  /** L: no fresh hit is older than this (P7). */
  readonly maxStalenessMs: number
  readonly onFeedLoss: 'bypass' | 'stale'
  readonly onWriteOutage: 'local' | 'reject'
  /** How many statements may be under way at once. */
  readonly maxStatements: number
  /** How long a request may wait for its statement to begin. */
  readonly maxWaitMs: number
}

export interface CacheParts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
}

/** `stale`: from memory, and not proven to be within the staleness bound. */
export interface Read {
  readonly value: Value | undefined
  readonly source: 'cache' | 'db'
  readonly stale: boolean
}

/** `written` is false for a write that is kept here until the database is back. */
export interface WriteResult {
  readonly written: boolean
}

export interface DeleteResult {
  /** Was it held in this sidecar, in the database? */
  readonly held: boolean
  readonly stored: boolean
}

export interface CacheStatus {
  readonly stats: Stats
  readonly size: number
  readonly bytes: number
  readonly keptWrites: number
  readonly feed: FeedState
  /** `Infinity` before the feed was live for the first time. */
  readonly leaseAgeMs: number
}

const maxBatchItems = 500
const maxBatchBytes = 8 * 1024 * 1024

/**
 * The algorithm: a local cache that is never staler than it says. The rules P1 to P12 that the comments
 * name are in docs/protocol.md.
 */
export class Cache implements ChangeFeedHandler {
  readonly #options: CacheOptions
  readonly #clock: Clock
  readonly #log: Log
  readonly #stats = new Stats()
  readonly #lease: Lease
  readonly #flights = new Flights()
  readonly #local: LocalCache
  readonly #kept: KeptWrites
  readonly #fills: Batcher<{ readonly key: string }, StoredEntry>
  readonly #writes: Batcher<{ readonly key: string; readonly value: Value }, Version>
  readonly #removes: Batcher<{ readonly key: string }, true>
  readonly #lastHeard = new LastHeard()
  readonly #revalidation: Revalidation

  constructor(options: CacheOptions, { store, clock, log }: CacheParts) {
    this.#options = options
    this.#clock = clock
    this.#log = log
    this.#lease = new Lease(options.maxStalenessMs)
    this.#local = new LocalCache({
      capacity: options.capacity,
      maxBytes: options.maxBytes,
      onEvict: () => this.#stats.evictions++,
    })
    this.#kept = new KeptWrites(options.capacity, {
      store,
      log,
      stats: this.#stats,
      onSettled: (id, version) => this.#apply(id, version),
    })
    this.#revalidation = new Revalidation({
      store,
      log,
      lease: this.#lease,
      local: this.#local,
      kept: this.#kept,
      lastHeard: this.#lastHeard,
      stats: this.#stats,
    })
    const bounds = {
      clock,
      slots: new Slots(options.maxStatements),
      maxItems: maxBatchItems,
      maxBytes: maxBatchBytes,
      maxWaitMs: options.maxWaitMs,
    }
    this.#fills = new Batcher({
      ...bounds,
      maxInFlight: options.maxStatements,
      bytesOf: () => 0,
      run: async (items) => store.read(items.map(({ key }) => key)),
    })
    this.#writes = new Batcher({
      ...bounds,
      maxInFlight: 1,
      bytesOf: ({ key, value }) => key.length + value.length,
      run: (items) => store.write(items),
    })
    this.#removes = new Batcher({
      ...bounds,
      maxInFlight: 1,
      bytesOf: () => 0,
      run: async (items) => {
        const removed = await store.remove(items.map(({ key }) => key))
        return new Map([...removed].map((key) => [key, true]))
      },
    })
  }

  status(): CacheStatus {
    return {
      stats: this.#stats,
      size: this.#local.size,
      bytes: this.#local.bytes,
      keptWrites: this.#kept.size,
      feed: this.#lease.state,
      leaseAgeMs: this.#lease.ageMs(this.#clock.now()),
    }
  }

  /** The hit path: an entry held here, within its time to live and within the lease. */
  hit(key: string): Entry | undefined {
    const nowMs = this.#clock.now()
    if (!this.#lease.holds(nowMs)) return undefined
    const entry = this.#local.get(keyId(key))
    if (entry === undefined || entry.expiresAtMs <= nowMs) return undefined
    this.#stats.hits++
    return entry
  }

  /** Rejects with a CacheError when the value is not here and the store cannot be asked. */
  async get(key: string): Promise<Read> {
    const hit = this.hit(key)
    if (hit) return { value: hit.value, source: 'cache', stale: false }

    const id = keyId(key)
    const kept = this.#kept.get(id)
    if (kept) return this.#stale(kept.value)

    const nowMs = this.#clock.now()
    const entry = this.#local.get(id)
    const usable = entry !== undefined && entry.expiresAtMs > nowMs ? entry : undefined
    if (entry === undefined) this.#stats.missesAbsent++
    else if (usable === undefined) {
      this.#stats.missesExpired++
    } else {
      this.#stats.missesUnproven++
      if (this.#options.onFeedLoss === 'stale') return this.#stale(usable.value)
    }
    try {
      const found = await this.#fill(id, key)
      return { value: found?.value, source: 'db', stale: false }
    } catch (error) {
      // A write kept meanwhile is the latest we know; an entry dropped meanwhile is known to be wrong.
      const fallback = this.#kept.get(id) ?? (usable && this.#local.get(id) === usable ? usable : undefined)
      if (fallback && hasCode(error, 'store-unavailable', 'store-busy')) return this.#stale(fallback.value)
      throw error
    }
  }

  /** Writes through: the store first, then memory. */
  async set(key: string, value: Value): Promise<WriteResult> {
    const id = keyId(key)
    const token = this.#openToken(id)
    try {
      const { sent, answer: version } = await this.#writes.add({ key, value })
      if (version === undefined) throw new Error('the store answered a write without a version')
      this.#acknowledged(id, version)
      this.#put(token, { key, value: sent.value, version, remainingMs: undefined })
      return { written: true }
    } catch (error) {
      this.#keepOrThrow(id, key, value, error)
      return { written: false }
    } finally {
      this.#flights.close(token)
    }
  }

  async delete(key: string): Promise<DeleteResult> {
    const id = keyId(key)
    const kept = this.#kept.get(id)
    const entry = this.#local.get(id)
    const held = kept
      ? kept.value !== undefined
      : entry !== undefined && entry.expiresAtMs > this.#clock.now()
    const item = { key }
    try {
      const { sent, answer } = await this.#removes.add(item)
      this.#acknowledged(id, undefined)
      return { held, stored: answer === true && sent === item }
    } catch (error) {
      this.#keepOrThrow(id, key, undefined, error)
      return { held, stored: false }
    }
  }

  // --- The change feed ---

  listening(asOfMs: number): Promise<void> {
    this.#lease.listening(asOfMs)
    return this.#revalidation.run()
  }

  proven(asOfMs: number): void {
    this.#lease.proven(asOfMs)
  }

  changed(change: Change): Promise<void> | undefined {
    this.#stats.changesApplied++
    if (change.kind === 'key') {
      this.#apply(change.id, change.version)
      return undefined
    }
    this.#lease.doubt()
    this.#flights.doubted()
    return this.#lease.state === 'catching-up' ? this.#revalidation.run() : undefined
  }

  /** Entries stay; they are served while the lease lasts, and are unproven after that (P5). */
  lost(reason: string): void {
    if (this.#lease.state !== 'down') {
      this.#stats.feedLosses++
      this.#log.warn({ reason }, 'change feed lost')
    }
    this.#lease.lost()
    this.#flights.doubted()
  }

  /** Sends what is kept, if the database answers. */
  async close(): Promise<void> {
    await this.#kept.send().catch(() => undefined)
  }

  // --- Fills and writes ---

  #fill(id: string, key: string): Promise<StoredEntry | undefined> {
    const nowMs = this.#clock.now()
    const joinable = this.#flights.joinable(id, nowMs - this.#options.maxStalenessMs)
    if (joinable) {
      this.#stats.coalesced++
      return joinable
    }
    const token = this.#openToken(id)
    const result = this.#fills
      .add({ key })
      .then(({ answer: found }) => {
        this.#inContact()
        if (found) this.#put(token, found)
        return found
      })
      .finally(() => {
        this.#flights.close(token)
        this.#flights.ended(id, result)
      })
    this.#flights.started(id, { result, startedAtMs: nowMs })
    return result
  }

  #openToken(id: string): Token {
    return this.#flights.open(id, this.#feed(), this.#clock.now())
  }

  #feed(): { readonly generation: number; readonly live: boolean } {
    return { generation: this.#lease.generation, live: this.#lease.state === 'live' }
  }

  #put(token: Token, { key, value, version, remainingMs }: StoredEntry): void {
    this.#lastHeard.version(version)
    if (!this.#flights.mayPut(token, version, this.#feed())) return
    // P12: what the database said remained, remained when we asked or later.
    const remainsUntilMs = token.openedAtMs + (remainingMs ?? Number.POSITIVE_INFINITY)
    this.#local.put(token.id, {
      key,
      value,
      version,
      expiresAtMs: Math.min(this.#clock.now() + this.#options.ttlMs, remainsUntilMs),
      bytes: Buffer.byteLength(key) + Buffer.byteLength(value),
    })
  }

  /** A write of ours has happened: for everybody else here that is a change like any other. */
  #acknowledged(id: string, version: Version | undefined): void {
    this.#apply(id, version)
    this.#kept.drop(id)
    this.#inContact()
  }

  /**
   * P2: a change drops the entry unless the entry is that very change. `undefined`: one that we know to have
   * happened, or that may have, under a version we do not know.
   */
  #apply(id: string, version: Version | undefined): void {
    this.#flights.changed(id, version)
    if (version !== undefined) this.#lastHeard.version(version)
    const entry = this.#local.get(id)
    if (entry === undefined || entry.version === version) return
    this.#local.drop(id)
    this.#stats.invalidations++
  }

  #stale(value: Value | undefined): Read {
    this.#stats.staleServed++
    return { value, source: 'cache', stale: true }
  }

  // --- Database down (P9) ---

  /** A write that has certainly not happened is kept, where that is wanted; any other error is the caller's. */
  #keepOrThrow(id: string, key: string, value: Value | undefined, error: unknown): void {
    if (hasCode(error, 'outcome-unknown')) {
      this.#stats.writesUnknown++
      this.#apply(id, undefined)
    }
    if (!hasCode(error, 'store-unavailable') || this.#options.onWriteOutage === 'reject') throw error
    if (!this.#kept.keep(id, { key, value, base: this.#baseOf(id), epoch: this.#lastHeard.epoch })) {
      throw new CacheError('store-unavailable', 'the database is away and no further write can be kept', {
        cause: error,
      })
    }
    this.#apply(id, undefined)
  }

  #baseOf(id: string): Base {
    const entry = this.#local.get(id)
    return entry ? { kind: 'held', version: entry.version } : this.#lastHeard.unseen
  }

  /** The store has answered: a good moment to send what is kept. */
  #inContact(): void {
    if (this.#kept.size === 0) return
    this.#kept
      .send()
      .catch((error: unknown) => this.#log.warn({ err: error }, 'kept writes could not be sent yet'))
  }
}
