import { BatchedStore } from './batching/batched-store.js'
import { Semaphore } from './batching/semaphore.js'
import type { StoreFault } from './batching/store-health.js'
import type { Change, Entry, Value, Written } from './entry.js'
import { CacheError, type CacheErrorCode, hasCode } from './errors.js'
import { FeedFollower } from './feed/feed-follower.js'
import { Idleness } from './feed/idleness.js'
import type { ChangeFeedHandler, Clock, FeedSession, Log, Proof, Replica, Store } from './ports.js'
import { Fills } from './reads/fills.js'
import type { Forwarded, ReadOptions, ReadResult } from './reads/read-result.js'
import { ReplicaReads } from './reads/replica-reads.js'
import { CacheState, type CacheStateBounds } from './state/cache-state.js'
import type { Flight } from './state/flights.js'
import { heldKeys } from './state/held-keys.js'
import { keyId } from './state/key-id.js'
import type { FeedState } from './state/lease.js'
import { formatToken, type SessionToken } from './state/session-token.js'
import { Stats } from './stats.js'
import type { BatchTracer } from './tracer.js'
import { PendingWrites } from './writes/pending-writes.js'

/** Options that can change at run time. */
export type Reconfigurable = CacheStateBounds

export interface CacheOptions extends Reconfigurable {
  /** L: maximum age of a value that is served as fresh (P7). */
  readonly maxStalenessMs: number
  readonly onFeedLoss: 'bypass' | 'stale'
  readonly onWriteOutage: 'local' | 'reject'
  /** Maximum size of the pending writes, in bytes. */
  readonly maxPendingBytes: number
  /** Maximum number of concurrent statements. */
  readonly maxStatements: number
  /** Maximum number of concurrent statements that return values. */
  readonly maxReads: number
  /** Maximum time that a request waits for its statement to start. */
  readonly maxWaitMs: number
  /** Time without a request after which the feed rests; 0 to never rest. */
  readonly idleAfterMs: number
}

export interface CacheParts {
  readonly store: Store
  /** Replica that is asked instead of the store if that is safe (P13). */
  readonly replica?: Replica | undefined
  readonly clock: Clock
  readonly log: Log
  readonly tracer?: BatchTracer | undefined
  /** Returns a random number from 0 up to, but not including, 1. */
  readonly random?: () => number
}

/** Result of a write. `written` is false for a pending write. */
export type WriteResult = { readonly written: true; readonly token: string } | { readonly written: false }

export interface DeleteResult {
  /** True if this sidecar held the entry; `stored` is true if the database had it. */
  readonly held: boolean
  readonly stored: boolean
  /** Token of the delete; undefined if it is a pending write. */
  readonly token: string | undefined
}

export interface CacheStatus {
  readonly stats: Stats
  readonly size: number
  readonly bytes: number
  readonly pendingWrites: number
  readonly pendingBytes: number
  /** Size of the values of writes whose outcome is unknown, in bytes. */
  readonly unknownBytes: number
  /** Number of statements in flight that return values. */
  readonly valueReads: number
  /**
   * Error with which the database answered the pending writes when they were last sent; undefined if there was none.
   */
  readonly pendingWritesObstacle: CacheErrorCode | undefined
  /** Kinds of statements that keep failing, whatever the state of the feed is. */
  readonly faults: readonly StoreFault[]
  readonly feed: FeedState
  /** Reason why the feed is not live; undefined if it is. */
  readonly feedReason: string | undefined
  /** Age of the lease; `Infinity` before the feed was live for the first time. */
  readonly leaseAgeMs: number
  /** Time for which the feed has been needed without a pause; `Infinity` if it has never been idle. */
  readonly neededForMs: number
  /** True if a replica may be asked; undefined if none is configured. */
  readonly replicaUsable: boolean | undefined
}

/** Errors that can pass without a change of the write, which is therefore kept as a pending write (P9). */
const passing: readonly CacheErrorCode[] = [
  'store-unavailable',
  'login-refused',
  'store-suspended',
  'store-not-ready',
]

/** Errors of the store after which a default read is answered from memory, marked stale, if possible. */
const answersFromMemory: readonly CacheErrorCode[] = [
  ...passing,
  'store-busy',
  'store-failed',
  'row-locked',
  'store-locked',
]

/**
 * The algorithm: a local cache that is never staler than it says. docs/protocol.md has the rules P1 to P13 that the
 * comments refer to. `CacheState` holds the entries, and `Fills` asks the store. This class has the course of each
 * request, and `FeedFollower` that of each event of the feed.
 */
export class Cache implements ChangeFeedHandler {
  #options: CacheOptions
  readonly #clock: Clock
  readonly #log: Log
  readonly #stats = new Stats()
  readonly #memory: CacheState
  readonly #kept: PendingWrites
  readonly #statements: BatchedStore
  readonly #valueSlots: Semaphore
  readonly #replicaReads: ReplicaReads | undefined
  readonly #fills: Fills
  readonly #follower: FeedFollower
  readonly #idleness: Idleness

  constructor(options: CacheOptions, { store, replica, clock, log, tracer, random }: CacheParts) {
    this.#options = options
    this.#clock = clock
    this.#log = log
    const stats = this.#stats
    const { maxStalenessMs } = options
    this.#valueSlots = new Semaphore(options.maxReads)
    const valueSlots = this.#valueSlots
    this.#idleness = new Idleness(options.idleAfterMs, clock.now())
    this.#statements = new BatchedStore({ store, clock, stats, tracer, valueSlots, ...options })
    this.#replicaReads =
      replica && new ReplicaReads({ replica, clock, stats, tracer, valueSlots, ...options })
    this.#memory = new CacheState(options, {
      maxStalenessMs,
      clock,
      stats,
      random,
      replicaReads: this.#replicaReads,
      isKept: (id) => this.#kept.get(id) !== undefined,
      onForeignHistory: (askedMs) => this.#follower.foreignHistory(askedMs),
    })
    this.#kept = new PendingWrites(
      { capacity: options.capacity, maxBytes: options.maxPendingBytes },
      {
        store,
        clock,
        log,
        stats,
        fingerprint: () => this.#memory.fingerprint,
        onSettled: (id, written) => {
          if (written) this.#statements.health.succeeded('write')
          this.#memory.written(id, written)
        },
      },
    )
    this.#follower = new FeedFollower({
      store,
      log,
      stats,
      clock,
      state: this.#memory,
      pending: this.#kept,
      idleness: this.#idleness,
      maxStalenessMs,
      onContact: () => this.#inContact(),
    })
    this.#fills = new Fills({
      memory: this.#memory,
      statements: this.#statements,
      replicaReads: this.#replicaReads,
      maxStalenessMs,
      clock,
      stats,
      onContact: () => this.#inContact(),
    })
  }

  reconfigure(changed: Reconfigurable): void {
    const { capacity } = this.#options
    this.#options = { ...this.#options, ...changed }
    this.#memory.reconfigure(changed)
    if (changed.capacity !== capacity) this.#kept.resize(changed.capacity)
  }

  status(): CacheStatus {
    const { local, lease } = this.#memory
    const nowMs = this.#clock.now()
    return {
      stats: this.#stats,
      size: local.size,
      bytes: local.bytes,
      pendingWrites: this.#kept.size,
      pendingBytes: this.#kept.bytes,
      unknownBytes: this.#kept.unknownBytes,
      valueReads: this.#valueSlots.taken,
      pendingWritesObstacle: this.#kept.obstacle,
      faults: this.#statements.health.faults(nowMs),
      feed: lease.state,
      feedReason: lease.state === 'live' ? undefined : this.#follower.reason,
      leaseAgeMs: lease.ageMs(nowMs),
      neededForMs: this.#idleness.neededForMs(nowMs),
      replicaUsable: this.#replicaReads?.isUsable,
    }
  }

  /**
   * Returns a fresh entry: one that is held, is within its time to live, and is covered by the lease. This is the hit
   * path. `nowMs` is the clock's time.
   */
  hit(key: string, nowMs = this.#clock.now()): Entry | undefined {
    this.#idleness.used(nowMs)
    return this.#memory.hit(keyId(key), nowMs)
  }

  /** Returns what memory alone can answer; undefined if the store has to be asked. */
  recall(key: string, wish: ReadOptions = {}, nowMs = this.#clock.now()): ReadResult | undefined {
    const id = keyId(key)
    this.#idleness.used(nowMs)
    if (wish.strong || !this.#memory.satisfies(wish.token, id)) return undefined
    const hit = this.#memory.hit(id, nowMs)
    if (hit) return this.#fromMemory(hit)
    const kept = this.#kept.get(id)
    if (kept) return this.#fromKept(kept.value)
    // After a rest, the database is not known to be unavailable, so it is asked.
    const mayBeStale = this.#options.onFeedLoss === 'stale' && !this.#idleness.isUnproven
    const usable = mayBeStale ? this.#memory.usable(id, nowMs) : undefined
    return usable && this.#fromMemory(usable, 'unproven')
  }

  /** Reads a key. Rejects with a CacheError if the store has to be asked and does not answer. */
  get(key: string, wish: ReadOptions = {}, nowMs = this.#clock.now()): Promise<ReadResult> {
    const recalled = this.recall(key, wish, nowMs)
    if (recalled) return Promise.resolve(recalled)

    const id = keyId(key)
    const entry = this.#memory.local.get(id)
    const usable = this.#memory.usable(id, nowMs)
    const requested = wish.strong || !this.#memory.satisfies(wish.token, id)
    const forwarded = this.#miss(requested, entry, usable)
    const reading = this.#fills.read({ id, key, entry, forwarded }, nowMs)
    return this.#remembered(reading, wish.token, id).catch((error: unknown) => {
      if (requested || !hasCode(error, ...answersFromMemory)) throw error
      // A write that has become pending meanwhile is the latest known; an entry that was dropped meanwhile is known to
      // be outdated.
      const kept = this.#kept.get(id)
      if (kept) return this.#fromKept(kept.value)
      if (usable && this.#memory.usable(id, this.#clock.now()) === usable)
        return this.#fromMemory(usable, 'unproven')
      throw error
    })
  }

  /**
   * Remembers the token of a read that it sent to the store. The answer satisfies the token, whatever its version, and
   * so do later ones (P11).
   */
  #remembered(
    reading: Promise<ReadResult>,
    token: SessionToken | undefined,
    id: string,
  ): Promise<ReadResult> {
    if (token === undefined) return reading
    return reading.then((read) => {
      if (read.forwarded === 'request' && read.stored) this.#memory.remember(token, id)
      return read
    })
  }

  /**
   * Fills a key for the warm-up, under the rules of every fill (P3). Resolves to true if it was put. Rejects like
   * `get`.
   */
  async warm(key: string): Promise<boolean> {
    const nowMs = this.#clock.now()
    this.#idleness.used(nowMs)
    const id = keyId(key)
    const { flights, local } = this.#memory
    const isRead = flights.joinable(id, Number.NEGATIVE_INFINITY) !== undefined
    if (isRead || this.#memory.usable(id, nowMs)) return false
    const miss = { id, key, entry: local.get(id), forwarded: 'miss' } as const
    const { stored } = await this.#fills.read(miss, nowMs)
    if (!stored) return false
    this.#stats.warmed++
    return true
  }

  /** Marks the keys as used, one after the other: the last one is evicted last. */
  touch(keys: Iterable<string>): void {
    for (const key of keys) this.#memory.local.get(keyId(key))
  }

  /** Returns the keys of all entries, including expired ones, most recently used first. */
  heldKeys(): Promise<string[]> {
    return heldKeys(this.#memory.local, this.#clock)
  }

  /** Writes an entry through: to the store first, then to memory. */
  async set(key: string, value: Value): Promise<WriteResult> {
    const nowMs = this.#clock.now()
    this.#idleness.used(nowMs)
    const id = keyId(key)
    const token = this.#memory.open(id, nowMs)
    try {
      const { sent, answer: written } = await this.#kept.inOrder(id, () =>
        this.#statements.write.add({ key, value }),
      )
      if (written === undefined) {
        this.#memory.apply(id, undefined)
        throw new CacheError(
          'not-stored',
          'the database did not store the entry under this key: a trigger or rule',
        )
      }
      this.#acknowledged(token, written)
      if (written.isAsSent)
        this.#memory.put(token, { key, value: sent.value, isComparable: true, ...written })
      return { written: true, token: formatToken(id, written) }
    } catch (error) {
      this.#keepOrThrow(id, key, value, error)
      return { written: false }
    } finally {
      this.#memory.flights.close(token)
    }
  }

  async delete(key: string): Promise<DeleteResult> {
    const nowMs = this.#clock.now()
    this.#idleness.used(nowMs)
    const id = keyId(key)
    const kept = this.#kept.get(id)
    const held = kept ? kept.value !== undefined : this.#memory.usable(id, nowMs) !== undefined
    const token = this.#memory.open(id, nowMs)
    const item = { key }
    try {
      const { sent, answer } = await this.#kept.inOrder(id, () => this.#statements.remove.add(item))
      const written = answer?.version === undefined ? undefined : answer
      if (answer) this.#memory.observe(answer.epoch, token)
      this.#acknowledged(token, written)
      return { held, stored: written !== undefined && sent === item, token: formatToken(id, written) }
    } catch (error) {
      this.#keepOrThrow(id, key, undefined, error)
      return { held, stored: false, token: undefined }
    } finally {
      this.#memory.flights.close(token)
    }
  }

  #acknowledged(token: Flight, written: Written | undefined): void {
    this.#memory.acknowledged(token, written)
    this.#kept.drop(token.id)
    this.#inContact()
  }

  // --- The change feed: see feed-follower.ts ---

  listening(asOfMs: number, session: FeedSession): Promise<void> {
    return this.#follower.listening(asOfMs, session)
  }

  proven(asOfMs: number, proof: Proof): Promise<void> | undefined {
    return this.#follower.proven(asOfMs, proof)
  }

  changed(change: Change): Promise<void> | undefined {
    return this.#follower.changed(change)
  }

  lost(reason: string, shownReason?: string): void {
    this.#follower.lost(reason, shownReason)
  }

  rest(): Promise<void> | undefined {
    return this.#follower.rest()
  }

  /** Sends the pending writes, if the database answers. */
  async close(): Promise<void> {
    await this.#kept.send().catch(() => undefined)
    if (this.#kept.size > 0)
      this.#log.warn({ kept: this.#kept.size }, 'pending writes are lost with this process')
  }

  // --- Reads ---

  #miss(requested: boolean, entry: Entry | undefined, usable: Entry | undefined): Forwarded {
    if (requested) {
      this.#stats.missesRequested++
      return 'request'
    }
    if (entry === undefined) {
      this.#stats.missesAbsent++
      return 'miss'
    }
    if (usable) this.#stats.missesUnproven++
    else this.#stats.missesExpired++
    return 'stale'
  }

  #fromMemory(entry: Entry, stale?: 'unproven'): ReadResult {
    const nowMs = this.#clock.now()
    if (stale) this.#stats.staleServed++
    return {
      value: entry.value,
      ageMs: nowMs - entry.asOfMs,
      ttlMs: entry.expiresAtMs - nowMs,
      ...(stale && { stale }),
    }
  }

  #fromKept(value: Value | undefined): ReadResult {
    this.#stats.staleServed++
    return { value, stale: 'kept', ageMs: 0 }
  }

  // --- Database down (P9) ---

  /**
   * Keeps a write that has certainly not happened, if the options and the error allow it. Throws any other error to the
   * caller.
   */
  #keepOrThrow(id: string, key: string, value: Value | undefined, error: unknown): void {
    if (hasCode(error, 'outcome-unknown')) {
      this.#stats.writesUnknown++
      this.#kept.sentInVain(id, value, this.#memory.baseOf(id), this.#memory.position.epoch)
      this.#memory.doubtWrite(id)
    }
    const willPass = hasCode(error, ...passing)
    if (!willPass || this.#options.onWriteOutage === 'reject') throw error
    const { epoch } = this.#memory.position
    const base = this.#memory.baseOf(id)
    if (!this.#kept.keep(id, { key, value, base, epoch, mayHaveHappened: false, outcomes: [] })) {
      throw new CacheError('store-unavailable', 'the database is away and no further write can be kept', {
        cause: error,
      })
    }
    this.#memory.apply(id, undefined)
  }

  /** Sends the pending writes, because the store has just answered. */
  #inContact(): void {
    if (this.#kept.size > 0) void this.#kept.sendIfDue()
  }
}
