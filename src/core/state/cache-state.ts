import type { Base, Entry, Epoch, StoredEntry, Version, Written } from '../entry.js'
import type { FillContests } from '../leases/fill-contests.js'
import type { Clock } from '../ports.js'
import type { ReplicaReads } from '../reads/replica-reads.js'
import type { Stats } from '../stats.js'
import type { PendingWrites } from '../writes/pending-writes.js'
import { DatabaseClock } from './database-clock.js'
import { type FeedNow, type Flight, Flights, type SharedFill } from './flights.js'
import { heldKeys } from './held-keys.js'
import { keyId } from './key-id.js'
import type { ExpiringWrite, KnownVersions } from './known-versions.js'
import type { Lease } from './lease.js'
import { LocalCache, type LocalCacheBounds } from './local-cache.js'
import { concerns, type SessionToken } from './session-token.js'
import { type TtlOptions, TtlPolicy } from './ttl-policy.js'
import { UnconfirmedWrites } from './unconfirmed-writes.js'

export type CacheStateBounds = LocalCacheBounds & TtlOptions

export interface CacheStateParts {
  readonly lease: Lease
  readonly versions: KnownVersions
  readonly pending: PendingWrites
  readonly replicaReads: ReplicaReads | undefined
  readonly contests: Pick<FillContests, 'changed' | 'allChanged'>
  readonly clock: Clock
  readonly stats: Stats
  readonly random: (() => number) | undefined
}

/** A write that the store has confirmed, with the remaining time to live of its row. */
export type Acknowledged = Written & Partial<Pick<StoredEntry, 'remainingMs'>>

/** The entries that this sidecar holds, and who may put, drop and get them: P1 to P3 and P7. */
export class CacheState {
  readonly #parts: CacheStateParts
  readonly #local: LocalCache
  readonly #flights = new Flights()
  readonly #unconfirmed = new UnconfirmedWrites()
  readonly #databaseClock = new DatabaseClock()
  #bounds: CacheStateBounds
  #ttl: TtlPolicy

  constructor(bounds: CacheStateBounds, parts: CacheStateParts) {
    this.#parts = parts
    this.#bounds = bounds
    this.#ttl = new TtlPolicy(bounds, parts.random)
    this.#local = new LocalCache({
      capacity: bounds.capacity,
      maxBytes: bounds.maxBytes,
      onEvict: () => parts.stats.evictions++,
    })
  }

  /**
   * Changes the bounds. Tokens, the lease and flights are not affected. For entries that are held, a shorter time to
   * live counts from now, so that they do not all expire at once; a longer one applies from the next fill.
   */
  reconfigure(bounds: CacheStateBounds): void {
    const { capacity, maxBytes } = this.#bounds
    this.#bounds = bounds
    this.#ttl = new TtlPolicy(bounds, this.#parts.random)
    const nowMs = this.#parts.clock.now()
    for (const entry of this.#local.entries()) {
      if (entry.expiresAtMs > nowMs + this.#ttl.boundMs(entry.key))
        entry.expiresAtMs = nowMs + this.#ttl.drawMs(entry.key)
    }
    if (bounds.capacity !== capacity || bounds.maxBytes !== maxBytes) this.#local.resize(bounds)
  }

  // --- What is held ---

  get size(): number {
    return this.#local.size
  }

  /** Size of all keys and values in memory, in bytes. */
  get bytes(): number {
    return this.#local.bytes
  }

  /**
   * Returns a fresh entry: one that is held, is within its time to live, and is covered by the lease. This is the hit
   * path.
   */
  hit(id: string, nowMs: number): Entry | undefined {
    if (!this.#parts.lease.holds(nowMs)) return undefined
    const entry = this.#local.get(id)
    if (entry === undefined || entry.expiresAtMs <= nowMs) return undefined
    this.#parts.stats.hits++
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
    return heldKeys(this.#local, this.#parts.clock)
  }

  /** Drops an entry that the primary does not have like this. Returns true if it was held. */
  drop(id: string): boolean {
    return this.#local.drop(id)
  }

  // --- Flights: the statements under way ---

  /** Starts a flight. Call this before its statement is sent. */
  open(id: string, nowMs: number): Flight {
    return this.#flights.open(id, this.#feedNow(), nowMs)
  }

  #feedNow(): FeedNow {
    const { generation, coveredGeneration, mayPut } = this.#parts.lease
    return { generation, coveredGeneration, mayPut }
  }

  /** Ends a flight, whose result has been handled. */
  close(flight: Flight): void {
    this.#flights.close(flight)
  }

  /** Returns the fill that a read arriving now may join, if it began at `sinceMs` or later (P4). */
  joinable(id: string, sinceMs: number): SharedFill['result'] | undefined {
    return this.#flights.joinable(id, sinceMs)
  }

  /** Lets reads of this key join the fill from now on, until it ends or the key changes. */
  share(id: string, fill: SharedFill): void {
    this.#flights.share(id, fill)
  }

  /** Ends the sharing of a fill, which has been answered. */
  unshare(id: string, result: SharedFill['result']): void {
    this.#flights.unshare(id, result)
  }

  /**
   * Puts the result of a flight into memory, if that is safe. Returns true if it was put. `asOfMs` is only given for
   * the answer of a replica.
   */
  put(
    flight: Flight,
    { key, value, mediaType, version, epoch, remainingMs, isComparable }: StoredEntry,
    asOfMs?: number,
  ): boolean {
    const { versions, pending, clock } = this.#parts
    if (!versions.isOurs(epoch, flight.openedAtMs)) return false
    // A pending write takes precedence over what the store has.
    if (pending.has(flight.id) || !this.#flights.mayPut(flight, version, this.#feedNow())) return false
    // P12: the remaining time that the database computed counts from the moment at which it was asked, or from later.
    const rowExpiresAtMs = flight.openedAtMs + (remainingMs ?? Number.POSITIVE_INFINITY)
    this.#local.put(flight.id, {
      key,
      value,
      mediaType,
      version,
      // The same text for all entries, not the one of this answer.
      epoch: versions.epoch ?? epoch,
      isComparable,
      asOfMs: asOfMs ?? flight.openedAtMs,
      expiresAtMs: Math.min(clock.now() + this.#ttl.drawMs(key), rowExpiresAtMs),
      rowExpiresAtMs,
      bytes: Buffer.byteLength(key) + Buffer.byteLength(value),
    })
    this.#flights.told(flight, version)
    if (asOfMs === undefined) versions.confirmed(version)
    return true
  }

  // --- Writes of this sidecar ---

  /**
   * Records that a write of this sidecar has happened. For all other flights it is a change like any other. Without a
   * version there was nothing to delete, but the entry is wrong all the same.
   */
  acknowledged(flight: Flight, written: Acknowledged | undefined): void {
    const { id, changes } = flight
    if (written && this.#flights.unbroken(flight, this.#feedNow()) && !changes.includes(written.version)) {
      this.#unconfirmed.acknowledged(id, written.version, this.#parts.clock.now())
    }
    this.written(id, written && { ...written, expiresAtMs: expiryOf(flight, written) }, flight.openedAtMs)
    // In another history, an entry with this very version can have another value.
    this.#local.drop(id)
  }

  /** Records that the store, asked at `askedMs`, has confirmed a write (undefined: that nothing was written). */
  written(id: string, written: ExpiringWrite | undefined, askedMs = Number.NEGATIVE_INFINITY): void {
    this.apply(id, written && this.#parts.versions.written(id, written, askedMs))
  }

  /** Records that a write of this sidecar may have happened: what is known about the row is no longer certain. */
  doubtWrite(id: string): void {
    this.#parts.versions.doubtWrite(id)
    this.apply(id, undefined)
  }

  /** Returns true if the change of a write that was acknowledged before this moment has not come back. */
  hasUnannounced(beforeMs: number): boolean {
    return this.#unconfirmed.anyBefore(beforeMs)
  }

  /** Returns the base of a new pending write: what its row must still be (P9). */
  baseOf(id: string): Base {
    return this.#parts.versions.baseOf(id, this.#local.get(id))
  }

  /**
   * P11: returns true if the store has told this sidecar of the write that the token came from. A change does not
   * count, because anybody can announce a version before it is committed.
   */
  satisfies(token: SessionToken | undefined, id: string): boolean {
    if (token === undefined || !concerns(token, id)) return true
    return this.#parts.versions.satisfies(token, this.#local.get(id))
  }

  /** Remembers the token of a read that has been put, so that it satisfies later reads, too (P11). */
  remember(token: SessionToken, id: string): void {
    const entry = this.#local.get(id)
    if (entry && concerns(token, id)) this.#parts.versions.remember(token, entry)
  }

  // --- Changes ---

  /** Applies a change that the feed has brought. */
  announced(id: string, version: Version): void {
    this.#unconfirmed.confirmed(id, version)
    this.apply(id, version)
  }

  /**
   * P2: applies a change, which drops the entry unless the entry has exactly that version. `undefined` stands for a
   * change that has happened, or may have happened, with an unknown version.
   */
  apply(id: string, version: Version | undefined): void {
    this.#flights.changed(id, version)
    this.#parts.replicaReads?.shown(id)
    this.#parts.versions.changed(id, version)
    this.#parts.contests.changed(id)
    const entry = this.#local.get(id)
    if (entry === undefined || entry.version === version) return
    this.#local.drop(id)
    this.#parts.stats.invalidations++
  }

  /** Checks the epoch of an answer of the store to a flight. */
  observe(epoch: Epoch, { openedAtMs }: Flight): void {
    this.#parts.versions.isOurs(epoch, openedAtMs)
  }

  /**
   * Records that the database's clock was at `databaseMs` at some moment from `sinceMs` to `nowMs`. If it has jumped,
   * rows have expired whose entries are still held. So entries with an expiry are dropped (P12).
   */
  databaseClockSeen(databaseMs: number, sinceMs: number, nowMs: number): void {
    if (!this.#databaseClock.hasJumped(databaseMs, sinceMs, nowMs)) return
    for (const entry of [...this.#local.entries()])
      if (entry.rowExpiresAtMs !== Number.POSITIVE_INFINITY) this.#local.drop(keyId(entry.key))
    // Flights got remaining times from before the jump.
    this.#parts.lease.stopFlights()
    this.#flights.doubted()
  }

  /** Drops all entries and everything known about versions. */
  forget(): void {
    this.#local.clear()
    this.#parts.versions.forget()
    this.doubt()
  }

  /** Drops all entries, and stops all flights, because more has changed than can be named. */
  dropAll(): void {
    this.#local.clear()
    this.#parts.lease.stopFlights()
    this.doubt()
  }

  /** Records that changes may have been missed, or came unnamed. */
  doubt(): void {
    this.#flights.doubted()
    this.#unconfirmed.clear()
    this.#parts.replicaReads?.doubt()
    this.#parts.contests.allChanged()
  }
}

/** Returns the time at which the row of an acknowledged write expires; undefined if it does not. */
function expiryOf({ openedAtMs }: Flight, { remainingMs }: Acknowledged): number | undefined {
  return remainingMs === undefined ? undefined : openedAtMs + remainingMs
}
