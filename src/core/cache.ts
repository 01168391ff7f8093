import { BatchedStore } from './batching/batched-store.js'
import { Semaphore } from './batching/semaphore.js'
import type { StoreFault } from './batching/store-health.js'
import type { Change, Entry, Value, Written } from './entry.js'
import { CacheError, type CacheErrorCode, hasCode, PublicError } from './errors.js'
import type { ChangeFeedHandler, Clock, FeedSession, Log, Proof, Replica, Store } from './ports.js'
import { Fills } from './reads/fills.js'
import type { Forwarded, ReadOptions, ReadResult } from './reads/read-result.js'
import { ReplicaReads } from './reads/replica-reads.js'
import { Revalidation } from './reads/revalidation.js'
import { CacheState, type CacheStateBounds } from './state/cache-state.js'
import { FeedLog } from './state/feed-log.js'
import type { Flight } from './state/flights.js'
import { heldKeys } from './state/held-keys.js'
import { Idleness } from './state/idleness.js'
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

/** Minimum time between two marks. A pending write can conflict with any change since the last mark. */
const markIntervalMs = 10_000

/**
 * The algorithm: a local cache that is never staler than it says. docs/protocol.md has the rules P1 to P13 that the
 * comments refer to. `CacheState` holds the entries, and `Fills` asks the store. This class has the course of each
 * request and of each event of the feed.
 */
export class Cache implements ChangeFeedHandler {
  #options: CacheOptions
  readonly #clock: Clock
  readonly #store: Store
  readonly #log: Log
  readonly #stats = new Stats()
  readonly #memory: CacheState
  readonly #kept: PendingWrites
  readonly #statements: BatchedStore
  readonly #valueSlots: Semaphore
  readonly #replicaReads: ReplicaReads | undefined
  readonly #fills: Fills
  readonly #revalidation: Revalidation
  readonly #feedLog: FeedLog
  readonly #idleness: Idleness
  #feedReason = 'starting'
  #session: FeedSession | undefined
  #listeningMs = Number.POSITIVE_INFINITY
  /** Highest version known before the next probe is sent. */
  #probeFloor = -1n
  #markedMs = Number.NEGATIVE_INFINITY

  constructor(options: CacheOptions, { store, replica, clock, log, tracer, random }: CacheParts) {
    this.#options = options
    this.#clock = clock
    this.#store = store
    this.#log = log
    const stats = this.#stats
    const { maxStalenessMs } = options
    this.#valueSlots = new Semaphore(options.maxReads)
    const valueSlots = this.#valueSlots
    this.#feedLog = new FeedLog(clock, log)
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
      onForeignHistory: (askedMs) => {
        // A late answer from before this session says nothing about the present.
        if (askedMs > this.#listeningMs) this.#session?.end('the database answers from another history')
      },
    })
    this.#kept = new PendingWrites(
      { capacity: options.capacity, maxBytes: options.maxPendingBytes },
      {
        store,
        clock,
        log,
        stats,
        onSettled: (id, written) => {
          if (written) this.#statements.health.succeeded('write')
          this.#memory.written(id, written)
        },
      },
    )
    this.#revalidation = new Revalidation({
      store,
      log,
      stats,
      feedLog: this.#feedLog,
      memory: this.#memory,
      kept: this.#kept,
      clock,
      pauseMs: maxStalenessMs / 3,
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
      feedReason: lease.state === 'live' ? undefined : this.#feedReason,
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

  // --- The change feed ---

  async listening(asOfMs: number, session: FeedSession): Promise<void> {
    const { lease, position } = this.#memory
    this.#stats.feedSessions++
    this.#session = session
    this.#listeningMs = asOfMs
    this.#probeFloor = -1n
    lease.listening(asOfMs)
    this.#catchingUp('it listens')
    if (this.#memory.tableSeen(session.fingerprint))
      this.#flush('the table was rewritten, or its triggers were changed')
    await this.#revalidation.run()
    if (this.#session === session) this.#idleness.settled()
    if (this.#session === session && position.isPastMark) this.#leaveMark()
  }

  proven(asOfMs: number, proof: Proof): Promise<void> | undefined {
    const { unconfirmed: unheard, lease, position } = this.#memory
    const nowMs = this.#clock.now()
    if (unheard.anyBefore(asOfMs)) throw new PublicError('a write of our own was not announced')
    if (this.#session === undefined) throw new PublicError('there is no session that could prove anything')
    if (position.epoch !== undefined) {
      // The next session asks for the position again, and drops all entries.
      if (!position.isOnward(proof, this.#probeFloor))
        throw new PublicError('the database has another history')
      position.observe(proof, this.#probeFloor)
      this.#probeFloor = position.latest
    }
    if (this.#memory.tableSeen(proof.fingerprint))
      this.#flush('the table was rewritten, or its triggers were changed')
    this.#memory.databaseClockSeen(proof.databaseMs, asOfMs, nowMs)
    lease.proven(asOfMs)
    this.#inContact()
    if (position.isPastMark && nowMs - this.#markedMs >= markIntervalMs) this.#leaveMark()
    return this.#revalidation.runIfNeeded()
  }

  /** Drops all entries, because their versions may stand for other values. */
  #flush(reason: string): void {
    this.#stats.flushes++
    this.#log.info({ reason }, 'cache flushed')
    this.#memory.forget()
    this.#memory.lease.stopFlights()
  }

  /**
   * Writes a mark, which is the base of later pending writes (P9). Without one they are sent only if there is no row.
   */
  #leaveMark(): void {
    const { position } = this.#memory
    const { epoch } = position
    this.#markedMs = this.#clock.now()
    this.#store.mark().then(
      ({ mark, latest }) => {
        if (position.epoch === epoch) this.#memory.marked(mark, latest)
      },
      () => undefined,
    )
  }

  changed(change: Change): Promise<void> | undefined {
    this.#stats.changesApplied++
    if (change.kind === 'key') {
      this.#memory.unconfirmed.heard(change.id, change.version)
      this.#memory.apply(change.id, change.version)
      return undefined
    }
    const wasLive = this.#memory.lease.state === 'live'
    this.#memory.lease.doubt()
    this.#memory.doubt()
    if (!wasLive) return undefined
    this.#catchingUp('more has changed than was named')
    return this.#revalidation.runIfDue()
  }

  #catchingUp(reason: string): void {
    this.#feedReason = 'catching up'
    this.#feedLog.catchingUp(reason)
  }

  /**
   * Called when the feed is lost. Entries stay. They are served while the lease lasts, and are unproven after that
   * (P5).
   */
  lost(reason: string, shownReason = reason): void {
    if (this.#memory.lease.state !== 'down') {
      this.#stats.feedLosses++
      this.#feedLog.lost(reason)
    }
    this.#feedReason = shownReason
    this.#session = undefined
    this.#idleness.settled()
    this.#memory.lease.lost()
    this.#memory.doubt()
  }

  /**
   * Called between two probes. Returns undefined if the feed is needed; otherwise nothing is proven until the next
   * request. Then the feed has to catch up as in P6, whatever the connection has received meanwhile:
   *
   *   1. The lease is at 10.0 s. At 10.5 s the feed rests. A hit is served until 13.0 s, as after any loss.
   *   2. Another sidecar's write of `k` is acknowledged, and its change is not received here.
   *   3. A read of `j` comes an hour later. It wakes the feed and is sent to the primary. Nothing is put, because the
   *      feed has not caught up.
   *   4. LISTEN is in force, and an echo has come back.
   *   5. A read of `k`, whose entry is outdated, is sent to the primary as well: `asOf` is still 10.0 s.
   *   6. The comparison drops `k`, and `asOf` becomes the moment before step 4.
   *
   * A probe instead of steps 4 to 6 would prove the outdated `k`.
   */
  rest(): Promise<void> | undefined {
    const { lease } = this.#memory
    if (lease.state !== 'live' || this.#kept.size > 0 || !this.#idleness.isDue(this.#clock.now()))
      return undefined
    this.#feedLog.idle()
    this.#feedReason = 'idle until the next request'
    this.#session = undefined
    lease.rest()
    this.#memory.doubt()
    return this.#idleness.rest()
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
    if (this.#kept.size === 0) return
    this.#kept
      .sendIfDue()
      .catch((error: unknown) => this.#log.warn({ err: error }, 'pending writes could not be sent yet'))
  }
}
