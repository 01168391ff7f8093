import { BatchedStore } from './batching/batched-store.js'
import { Semaphore } from './batching/semaphore.js'
import { BindingReads, type ReadCount } from './bindings/binding-reads.js'
import { type Binding, type Bindings, noBindings } from './bindings/bindings.js'
import { ChangeLog } from './changes/change-log.js'
import { Following } from './changes/following.js'
import type { Change, Entry, Value, Version } from './entry.js'
import { FeedFollower } from './feed/feed-follower.js'
import type { FeedTransition } from './feed/feed-log.js'
import { Idleness } from './feed/idleness.js'
import { FillContests } from './leases/fill-contests.js'
import type { Content } from './media-type.js'
import type {
  ChangeFeedHandler,
  ChangeOptions,
  Clock,
  ConditionalWrite,
  FeedSession,
  Log,
  Proof,
  Replica,
  Store,
  TransactionWriter,
  WriteOptions,
} from './ports.js'
import { type Admit, BulkReads } from './reads/bulk-reads.js'
import { Fills } from './reads/fills.js'
import type { ReadOptions, ReadResult } from './reads/read-result.js'
import { Reads } from './reads/reads.js'
import { ReplicaReads } from './reads/replica-reads.js'
import { CacheState, type CacheStateBounds } from './state/cache-state.js'
import { DatabasePosition } from './state/database-position.js'
import { FollowedSession } from './state/followed-session.js'
import { keyId } from './state/key-id.js'
import { KnownVersions } from './state/known-versions.js'
import { Lease } from './state/lease.js'
import { Stats } from './stats.js'
import type { CacheStatus } from './status.js'
import type { BatchTracer } from './tracer.js'
import { Delivery } from './writes/delivery.js'
import { DirectWrites } from './writes/direct-writes.js'
import { type EntryRemover, Invalidation, type Selection } from './writes/invalidation.js'
import { PendingWrites } from './writes/pending-writes.js'
import { TransactionalWrites, type TransactionResult } from './writes/transactional-writes.js'
import type { ChangeResult, DeleteResult, WriteResult } from './writes/write-result.js'

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
  readonly remover: EntryRemover
  readonly writer: TransactionWriter
  /** Replica that is asked instead of the store if that is safe (P13). */
  readonly replica?: Replica | undefined
  /** Tables that keys are bound to (P16). */
  readonly bindings?: Bindings | undefined
  /** Requests that wait for changes of their key (P15). */
  readonly contests?: FillContests | undefined
  readonly clock: Clock
  readonly log: Log
  readonly tracer?: BatchTracer | undefined
  /** Returns a random number from 0 up to, but not including, 1. */
  readonly random?: () => number
}

/**
 * The algorithm: a local cache that is never staler than it says. docs/protocol.md has the rules P1 to P19 that the
 * comments refer to. This class joins the parts: `CacheState` holds the entries, `Reads` and `DirectWrites` have the
 * course of each request, `FeedFollower` that of each event of the feed, and `Delivery` sends what an outage left.
 */
export class Cache implements ChangeFeedHandler {
  readonly #clock: Clock
  readonly #log: Log
  readonly #stats = new Stats()
  readonly #idleness: Idleness
  readonly #valueSlots: Semaphore
  readonly #statements: BatchedStore
  readonly #replicaReads: ReplicaReads | undefined
  readonly #lease: Lease
  readonly #pending: PendingWrites
  readonly #bindings: Bindings
  readonly #bindingReads: BindingReads
  readonly #state: CacheState
  readonly #delivery: Delivery
  readonly #follower: FeedFollower
  readonly #reads: Reads
  readonly #bulkReads: BulkReads
  readonly #writes: DirectWrites
  readonly #invalidation: Invalidation
  readonly #transactions: TransactionalWrites
  readonly #contests: FillContests
  /** For those who follow the changes from outside (P19). */
  readonly following: Following

  constructor(options: CacheOptions, parts: CacheParts) {
    const {
      store,
      remover,
      writer,
      replica,
      bindings = noBindings,
      contests = new FillContests(),
      clock,
      log,
      tracer,
      random,
    } = parts
    this.#clock = clock
    this.#log = log
    const stats = this.#stats
    const idleness = new Idleness(options.idleAfterMs, clock.now())
    const valueSlots = new Semaphore(options.maxReads)
    const batching = { ...options, clock, stats, tracer, valueSlots }
    const statements = new BatchedStore({ ...batching, store, bindings })
    const replicaReads = replica && new ReplicaReads({ ...batching, replica })

    const lease = new Lease(options.maxStalenessMs)
    const position = new DatabasePosition()
    const session = new FollowedSession()
    const versions = new KnownVersions({ clock, position, session })
    const pending = new PendingWrites({ capacity: options.capacity, maxBytes: options.maxPendingBytes })
    const bindingReads = new BindingReads(bindings)
    const state = new CacheState(options, {
      lease,
      versions,
      pending,
      replicaReads,
      contests,
      bindingReads,
      clock,
      stats,
      random,
    })

    const changeLog = new ChangeLog()
    const { health } = statements
    const delivery = new Delivery({ pending, state, versions, health, store, clock, log, stats })
    const shared = {
      state,
      lease,
      position,
      versions,
      pending,
      delivery,
      idleness,
      contests,
      bindings,
      changeLog,
      clock,
      log,
      stats,
    }
    this.following = new Following(shared)
    this.#follower = new FeedFollower({ ...options, ...shared, store, session })
    const fills = new Fills({ ...options, ...shared, statements, replicaReads })
    this.#reads = new Reads({ ...options, ...shared, fills, bindingReads })
    this.#bulkReads = new BulkReads({ reads: this.#reads, statements })
    this.#writes = new DirectWrites({ ...options, ...shared, statements })
    this.#invalidation = new Invalidation({ remover, state, pending, delivery })
    this.#transactions = new TransactionalWrites({ ...shared, writer })

    this.#contests = contests
    this.#idleness = idleness
    this.#valueSlots = valueSlots
    this.#statements = statements
    this.#replicaReads = replicaReads
    this.#lease = lease
    this.#pending = pending
    this.#bindings = bindings
    this.#bindingReads = bindingReads
    this.#state = state
    this.#delivery = delivery
  }

  reconfigure(changed: Reconfigurable): void {
    this.#state.reconfigure(changed)
    this.#pending.resize(changed.capacity)
  }

  status(): CacheStatus {
    const nowMs = this.#clock.now()
    const lease = this.#lease
    return {
      stats: this.#stats,
      size: this.#state.entries.size,
      bytes: this.#state.entries.bytes,
      negativeSize: this.#state.absences.size,
      negativeCapacity: this.#state.absences.capacity,
      negativeBytes: this.#state.absences.bytes,
      pendingWrites: this.#pending.size,
      pendingBytes: this.#pending.bytes,
      unknownBytes: this.#pending.unknownBytes,
      valueReads: this.#valueSlots.taken,
      pendingWritesObstacle: this.#delivery.obstacle,
      faults: this.#statements.health.faults(nowMs),
      feed: lease.state,
      feedReason: lease.state === 'live' ? undefined : this.#follower.reason,
      leaseAgeMs: lease.ageMs(nowMs),
      outboxLeaseAgeMs: lease.outboxAgeMs(nowMs),
      neededForMs: this.#idleness.neededForMs(nowMs),
      idleInMs: this.#idleness.dueInMs(nowMs),
      replicaUsable: this.#replicaReads?.isUsable,
      fillLeases: this.#contests.counts,
      bindings: this.#bindings.counts,
    }
  }

  /** Returns true if this sidecar has made a recent change that has this version. */
  isOwn(version: Version): boolean {
    return this.#state.isOwn(version)
  }

  /** Returns the reads of the keys of a binding. */
  readsOf(pattern: string): Readonly<ReadCount> {
    return this.#bindingReads.ofPattern(pattern)
  }

  /** The last changes of the feed's state, oldest first. */
  get feedTransitions(): readonly FeedTransition[] {
    return this.#follower.transitions
  }

  // --- Reads: see reads/reads.ts ---

  /**
   * Returns a fresh entry: one that is held, is within its time to live, and is covered by the lease. This is the hit
   * path. `nowMs` is the clock's time.
   */
  hit(key: string, nowMs = this.#clock.now()): Entry | undefined {
    this.#idleness.used(nowMs)
    return this.#state.hit(keyId(key), nowMs)
  }

  /** Returns what memory alone can answer; undefined if the store has to be asked. */
  recall(key: string, options: ReadOptions = {}, nowMs = this.#clock.now()): ReadResult | undefined {
    this.#idleness.used(nowMs)
    return this.#reads.recall(keyId(key), options, nowMs)
  }

  /** Reads a key. Rejects with a CacheError if the store has to be asked and does not answer. */
  get(key: string, options: ReadOptions = {}, nowMs = this.#clock.now()): Promise<ReadResult> {
    this.#idleness.used(nowMs)
    const id = keyId(key)
    const recalled = this.#reads.recall(id, options, nowMs)
    return recalled ? Promise.resolve(recalled) : this.#reads.ask(id, key, options, nowMs)
  }

  /** Reads distinct keys, in the order given. Rejects like `get`, or with what `admit` throws. */
  getMany(
    keys: readonly string[],
    options: ReadOptions,
    admit: Admit,
    nowMs = this.#clock.now(),
  ): Promise<readonly ReadResult[]> {
    this.#idleness.used(nowMs)
    return this.#bulkReads.get(keys, options, admit, nowMs)
  }

  /** Fills a key for the warm-up. Resolves to true if it was put. Rejects like `get`. */
  warm(key: string): Promise<boolean> {
    const nowMs = this.#clock.now()
    this.#idleness.used(nowMs)
    return this.#reads.warm(keyId(key), key, nowMs)
  }

  /** Calls `read`, which returns values of the store, once memory is reserved for them. */
  async withValueSlot<T>(read: () => Promise<T>): Promise<T> {
    await new Promise<void>((resolve) => this.#valueSlots.acquire(resolve))
    return read().finally(() => this.#valueSlots.release())
  }

  /** Marks the keys as used, one after the other: the last one is evicted last. */
  touch(keys: Iterable<string>): void {
    for (const key of keys) this.#state.entries.held(keyId(key))
  }

  /** Returns true if an entry of the key is held, even if it has expired. Does not count as a use. */
  isHeld(key: string): boolean {
    return this.#state.entries.peek(keyId(key)) !== undefined
  }

  /**
   * Drops what is held of a key, as an eviction does: the next read asks the store. Returns true if something was held.
   */
  drop(key: string): boolean {
    const id = keyId(key)
    const hadEntry = this.#state.entries.drop(id)
    return this.#state.absences.drop(id) || hadEntry
  }

  /** Returns the keys of all entries, including expired ones, most recently used first. */
  heldKeys(): Promise<string[]> {
    return this.#state.entries.keys()
  }

  // --- Writes: see writes/direct-writes.ts ---

  /** Writes an entry through: to the store first, then to memory. */
  set(key: string, value: Value, options: WriteOptions = {}): Promise<WriteResult> {
    const nowMs = this.#clock.now()
    this.#idleness.used(nowMs)
    return this.#writes.set(keyId(key), key, value, options, nowMs)
  }

  delete(key: string): Promise<DeleteResult> {
    const nowMs = this.#clock.now()
    this.#idleness.used(nowMs)
    return this.#writes.delete(keyId(key), key, nowMs)
  }

  /**
   * Writes an entry, or without a content deletes it, and tells whether there was one. With a condition, only if the
   * condition holds.
   */
  change(key: string, content: Content | undefined, options: ChangeOptions = {}): Promise<ChangeResult> {
    const nowMs = this.#clock.now()
    this.#idleness.used(nowMs)
    return this.#writes.change(keyId(key), key, content, options, nowMs)
  }

  /** Writes and deletes entries of distinct keys: all of them, in one transaction, or none. */
  writeAll(writes: readonly ConditionalWrite[]): Promise<TransactionResult> {
    const nowMs = this.#clock.now()
    this.#idleness.used(nowMs)
    return this.#transactions.writeAll(writes, nowMs)
  }

  /** Removes entries by key, group or prefix. Returns their number. Rejects with a CacheError. */
  invalidate(selection: Selection): Promise<number> {
    this.#idleness.used(this.#clock.now())
    return this.#invalidation.remove(selection)
  }

  /** Sends the pending writes, if the database answers. */
  async close(): Promise<void> {
    await this.#delivery.send().catch(() => undefined)
    if (this.#pending.size > 0)
      this.#log.warn({ pending: this.#pending.size }, 'pending writes are lost with this process')
  }

  // --- The change feed: see feed/feed-follower.ts ---

  bound(bindings: readonly Binding[]): void {
    this.#follower.bound(bindings)
  }

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
}
