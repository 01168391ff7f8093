import type { BindingReads } from '../bindings/binding-reads.js'
import type { KeyPattern } from '../bindings/key-pattern.js'
import type { Absent, Base, Entry, Epoch, StoredEntry, Version, Written } from '../entry.js'
import type { FillContests } from '../leases/fill-contests.js'
import type { Clock } from '../ports.js'
import type { ReplicaReads } from '../reads/replica-reads.js'
import type { Stats } from '../stats.js'
import type { PendingWrites } from '../writes/pending-writes.js'
import { DatabaseClock } from './database-clock.js'
import { type FeedNow, type Flight, Flights, isDelete, type SharedFill } from './flights.js'
import { HeldEntries } from './held-entries.js'
import type { ExpiringWrite, KnownVersions } from './known-versions.js'
import type { Lease } from './lease.js'
import type { LocalCacheBounds } from './local-cache.js'
import { NegativeEntries, type NegativeEntriesBounds, type NegativeEntry } from './negative-entries.js'
import { concerns, type SessionToken } from './session-token.js'
import { type TtlOptions, TtlPolicy } from './ttl-policy.js'
import { UnconfirmedWrites } from './unconfirmed-writes.js'

export type CacheStateBounds = LocalCacheBounds & NegativeEntriesBounds & TtlOptions

export interface CacheStateParts {
  readonly lease: Lease
  readonly versions: KnownVersions
  readonly pending: PendingWrites
  readonly replicaReads: ReplicaReads | undefined
  readonly contests: Pick<FillContests, 'changed' | 'allChanged'>
  readonly bindingReads: BindingReads
  readonly clock: Clock
  readonly stats: Stats
  readonly random: (() => number) | undefined
}

/** A write that the store has confirmed, with the remaining time to live of its row. */
export type Acknowledged = Written & Partial<Pick<StoredEntry, 'remainingMs'>>

/** Entries and absences that this sidecar holds, and who may put, drop and get them: P1 to P3, P7 and P14. */
export class CacheState {
  readonly #parts: CacheStateParts
  readonly #entries: HeldEntries
  readonly #absences: NegativeEntries
  readonly #flights = new Flights()
  readonly #unconfirmed = new UnconfirmedWrites()
  readonly #databaseClock = new DatabaseClock()

  constructor(bounds: CacheStateBounds, parts: CacheStateParts) {
    this.#parts = parts
    const held = { ...parts, ttl: new TtlPolicy(bounds, parts.random) }
    this.#entries = new HeldEntries(bounds, held)
    this.#absences = new NegativeEntries(bounds, held)
  }

  /** Changes the bounds. Tokens, the lease and flights are not affected. */
  reconfigure(bounds: CacheStateBounds): void {
    const ttl = new TtlPolicy(bounds, this.#parts.random)
    this.#entries.reconfigure(bounds, ttl)
    this.#absences.reconfigure(bounds, ttl)
  }

  // --- What is held ---

  /** The entries in memory. Those that are changed from outside are only dropped. */
  get entries(): Omit<HeldEntries, 'put' | 'hit' | 'clear' | 'reconfigure'> {
    return this.#entries
  }

  /** The keys that are known not to exist. */
  get absences(): Omit<NegativeEntries, 'put' | 'hit' | 'clear' | 'reconfigure'> {
    return this.#absences
  }

  /**
   * Returns a fresh entry: one that is held, is within its time to live, and is covered by the lease. This is the hit
   * path.
   */
  hit(id: string, nowMs: number): Entry | undefined {
    const { lease, stats } = this.#parts
    if (!lease.holds(nowMs)) return undefined
    const entry = this.#entries.hit(id, nowMs)
    if (entry === undefined || (entry.viaOutbox && !lease.outboxHolds(nowMs))) return undefined
    stats.hits++
    if (entry.reads) entry.reads.hits++
    return entry
  }

  /** Returns the absence of a key if it is fresh (P14). */
  negativeHit(id: string, nowMs: number): NegativeEntry | undefined {
    const { lease, stats } = this.#parts
    if (!lease.holds(nowMs)) return undefined
    const absence = this.#absences.hit(id, nowMs)
    if (absence === undefined || (absence.viaOutbox && !lease.outboxHolds(nowMs))) return undefined
    stats.hits++
    stats.negativeHits++
    if (absence.reads) absence.reads.hits++
    return absence
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
  put(flight: Flight, stored: StoredEntry, asOfMs?: number): boolean {
    const { id, openedAtMs } = flight
    const { version, epoch } = stored
    if (!this.#mayPut(flight, epoch) || !this.#flights.mayPut(flight, version, this.#feedNow())) return false
    // The same text of the epoch for all entries, not the one of this answer.
    const { epoch: known = epoch } = this.#parts.versions
    this.#entries.put(id, stored, known, openedAtMs, asOfMs)
    this.#flights.told(flight, version)
    if (asOfMs === undefined) this.#parts.versions.confirmed(version)
    return true
  }

  /**
   * Remembers the primary's answer to a flight that the key does not exist, if that is safe (P14). The entry has been
   * dropped already. Returns true if the absence is remembered.
   */
  putAbsence(
    flight: Flight,
    key: string,
    answer: Pick<Absent, 'epoch' | 'viaOutbox' | 'remainingMs'>,
  ): boolean {
    const { id, openedAtMs } = flight
    if (!this.#mayPut(flight, answer.epoch) || !this.#flights.mayPutAbsence(flight, this.#feedNow()))
      return false
    if (!this.#absences.put(id, key, openedAtMs, answer)) return false
    this.#flights.told(flight, undefined)
    return true
  }

  #mayPut({ id, openedAtMs }: Flight, epoch: Epoch): boolean {
    const { versions, pending } = this.#parts
    if (!versions.isOurs(epoch, openedAtMs)) return false
    // A pending write takes precedence over what the store has.
    return !pending.has(id)
  }

  // --- Writes of this sidecar ---

  /**
   * Records that a write of this sidecar has happened. For all other flights it is a change like any other. Without a
   * version there was nothing to delete, but the entry is wrong all the same.
   */
  acknowledged(flight: Flight, written: Acknowledged | undefined): void {
    const { id, changes, openedAtMs } = flight
    if (written === undefined) {
      this.apply(id, undefined)
    } else {
      const { version, epoch } = written
      if (this.#flights.unbroken(flight, this.#feedNow()) && !changes.includes(version))
        this.#unconfirmed.acknowledged(id, version, this.#parts.clock.now())
      this.written(id, { version, epoch, expiresAtMs: expiryOf(flight, written) }, openedAtMs)
    }
    // In another history, an entry with this very version can have another value.
    this.#entries.drop(id)
  }

  /** Records that the store, asked at `askedMs`, has confirmed a write (undefined: that nothing was written). */
  written(id: string, written: ExpiringWrite | undefined, askedMs = Number.NEGATIVE_INFINITY): void {
    this.apply(id, written && this.#parts.versions.written(id, written, askedMs))
  }

  /** Records that a statement of this sidecar has removed an entry among others. */
  removed(id: string, version: Version): void {
    this.#parts.versions.removed(version)
    this.apply(id, version)
  }

  /** Returns true if this sidecar has made a recent change that has this version. */
  isOwn(version: Version): boolean {
    return this.#parts.versions.isOwn(version)
  }

  /** Records that a write of this sidecar may have happened: what is known about the row is no longer certain. */
  doubtWrite(id: string): void {
    this.apply(id, undefined)
  }

  /** Returns true if the change of a write that was acknowledged before this moment has not come back. */
  hasUnannounced(beforeMs: number): boolean {
    return this.#unconfirmed.anyBefore(beforeMs)
  }

  /** Returns the base of a new pending write: what its row must still be (P9). */
  baseOf(id: string): Base {
    return this.#parts.versions.baseOf(id, this.#entries.held(id))
  }

  /**
   * P11: returns true if the store has told this sidecar of the write that the token came from. A change does not
   * count, because anybody can announce a version before it is committed.
   */
  satisfies(token: SessionToken | undefined, id: string): boolean {
    if (token === undefined || !concerns(token, id)) return true
    return this.#parts.versions.satisfies(token, this.#entries.held(id))
  }

  /** Remembers the token of a read that has been put, so that it satisfies later reads, too (P11). */
  remember(token: SessionToken, id: string): void {
    const entry = this.#entries.held(id)
    if (entry && concerns(token, id)) this.#parts.versions.remember(token, entry)
  }

  // --- Changes ---

  /** Applies a change that the feed has brought. */
  announced(id: string, version: Version): void {
    this.#unconfirmed.confirmed(id, version)
    this.apply(id, version)
  }

  /**
   * P2: applies a change, which drops the entry unless the entry has exactly that version, and the absence unless it is
   * a delete. `undefined` stands for a change that has happened, or may have happened, with an unknown version.
   */
  apply(id: string, version: Version | undefined): void {
    this.#flights.changed(id, version)
    this.#parts.replicaReads?.shown(id)
    this.#parts.versions.changed(id, version)
    this.#parts.contests.changed(id)
    const entry = this.#entries.peek(id)
    if (!isDelete(version)) this.#absences.drop(id)
    if (entry === undefined || entry.version === version) return
    this.#entries.drop(id)
    this.#parts.stats.invalidations++
  }

  /** Checks the epoch of an answer of the store to a flight. */
  observe(epoch: Epoch, { openedAtMs }: Flight): void {
    this.#parts.versions.isOurs(epoch, openedAtMs)
  }

  /**
   * Records that the database's clock was at `databaseMs` at some moment from `sinceMs` to `nowMs`. If it has jumped
   * forward, rows have expired whose entries are still held. If it has jumped back, rows exist again whose absence is
   * held. So what may be wrong is dropped (P12, P14), and true is returned.
   */
  databaseClockSeen(databaseMs: number, sinceMs: number, nowMs: number): boolean {
    const jump = this.#databaseClock.seen(databaseMs, sinceMs, nowMs)
    if (jump === undefined) return false
    if (jump === 'forward') this.#entries.dropWhere(({ rowExpiresAtMs }) => Number.isFinite(rowExpiresAtMs))
    else this.#absences.clear()
    // Flights got their answers from before the jump.
    this.#parts.lease.stopFlights()
    this.#flights.doubted()
    return true
  }

  /** Drops what is held of the keys that a pattern covers, because their binding has changed (P16). */
  dropCovered(patterns: readonly KeyPattern[]): void {
    const isCovered = ({ key }: { readonly key: string }) => patterns.some((pattern) => pattern.covers(key))
    this.#entries.dropWhere(isCovered)
    this.#absences.dropWhere(isCovered)
    // Flights may have been answered by what the keys stood for before.
    this.#parts.lease.stopFlights()
    this.#flights.doubted()
    this.#parts.contests.allChanged()
  }

  /** Drops everything that is held, and everything known about versions. */
  forget(): void {
    this.#entries.clear()
    this.#absences.clear()
    this.#parts.versions.forget()
    this.doubt()
  }

  /** Drops all entries, and stops all flights, because more has changed than can be named. */
  dropAll(): void {
    this.#entries.clear()
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
