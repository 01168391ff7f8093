import type { Base, Entry, Epoch, Mark, StoredEntry, Version, Written } from '../entry.js'
import type { Clock } from '../ports.js'
import type { ReplicaReads } from '../reads/replica-reads.js'
import type { Stats } from '../stats.js'
import { ConfirmedVersions } from './confirmed-versions.js'
import { DatabasePosition } from './database-position.js'
import { type FeedNow, type Flight, Flights } from './flights.js'
import { keyId } from './key-id.js'
import { Lease } from './lease.js'
import { LocalCache, type LocalCacheBounds } from './local-cache.js'
import { concerns, type SessionToken } from './session-token.js'
import { type TtlOptions, TtlPolicy } from './ttl-policy.js'
import { UnconfirmedWrites } from './unconfirmed-writes.js'

export type CacheStateBounds = LocalCacheBounds & TtlOptions

/** A clock that is corrected by less than this is not put forward. */
const clockToleranceMs = 1_000
const maxWrittenSinceMark = 10_000

export interface CacheStateParts {
  readonly maxStalenessMs: number
  readonly clock: Clock
  readonly stats: Stats
  readonly replicaReads: ReplicaReads | undefined
  /** Is a write of it kept here until the database is back? */
  readonly isKept: (id: string) => boolean
  /** The store, asked at `askedMs`, has answered from another history than the one that is followed. */
  readonly onForeignHistory: (askedMs: number) => void
  readonly random: (() => number) | undefined
}

/** What this sidecar holds and has heard, and the rules for both: P1 to P3, and whom a hit may be served to (P7). */
export class CacheState {
  readonly lease: Lease
  readonly local: LocalCache
  readonly flights = new Flights()
  readonly position = new DatabasePosition()
  readonly confirmed = new ConfirmedVersions()
  readonly unconfirmed = new UnconfirmedWrites()
  readonly #parts: CacheStateParts
  #bounds: CacheStateBounds
  #ttl: TtlPolicy
  #fingerprint: string | undefined
  /** Own writes that the last mark does not cover. Their entry may not have been put, or may have been evicted since. */
  readonly #writtenSinceMark = new Map<string, Written>()
  /** Wall clock of the database minus clock of the sidecar, at most, in ms. */
  #clockAheadMs: number | undefined

  constructor(bounds: CacheStateBounds, parts: CacheStateParts) {
    this.#parts = parts
    this.#bounds = bounds
    this.#ttl = new TtlPolicy(bounds, parts.random)
    this.lease = new Lease(parts.maxStalenessMs)
    this.local = new LocalCache({
      capacity: bounds.capacity,
      maxBytes: bounds.maxBytes,
      onEvict: () => parts.stats.evictions++,
    })
  }

  /**
   * Tokens, the lease and flights are not touched. A shorter time to live counts from now for what is held, so that nothing
   * expires at once; a longer one from the next fill.
   */
  reconfigure(bounds: CacheStateBounds): void {
    const { capacity, maxBytes } = this.#bounds
    this.#bounds = bounds
    this.#ttl = new TtlPolicy(bounds, this.#parts.random)
    const nowMs = this.#parts.clock.now()
    for (const entry of this.local.entries()) {
      if (entry.expiresAtMs > nowMs + this.#ttl.boundMs(entry.key))
        entry.expiresAtMs = nowMs + this.#ttl.drawMs(entry.key)
    }
    if (bounds.capacity !== capacity || bounds.maxBytes !== maxBytes) this.local.resize(bounds)
  }

  /** The hit path: an entry held here, within its time to live and within the lease. */
  hit(id: string, nowMs: number): Entry | undefined {
    if (!this.lease.holds(nowMs)) return undefined
    const entry = this.local.get(id)
    if (entry === undefined || entry.expiresAtMs <= nowMs) return undefined
    this.#parts.stats.hits++
    if (this.#ttl.isSliding) this.#slide(entry, nowMs)
    return entry
  }

  #slide(entry: Entry, nowMs: number): void {
    const anewMs = Math.min(nowMs + this.#ttl.drawMs(entry.key), entry.rowExpiresAtMs)
    if (anewMs > entry.expiresAtMs) entry.expiresAtMs = anewMs
  }

  /** Held, and within its time to live. */
  usable(id: string, nowMs: number): Entry | undefined {
    const entry = this.local.get(id)
    return entry !== undefined && entry.expiresAtMs > nowMs ? entry : undefined
  }

  /**
   * P11: has the store told this sidecar of the write that the token came from? A change does not count, because anybody
   * can announce a version before it is committed.
   */
  satisfies(token: SessionToken | undefined, id: string): boolean {
    if (token === undefined || !concerns(token, id)) return true
    const { written } = token
    if (written === undefined || written.epoch !== this.position.epoch) return false
    return this.confirmed.has(written.version) || this.local.get(id)?.version === written.version
  }

  /**
   * A read that was sent for this token has been put: later ones with it are satisfied, too, if the entry is not older. A
   * higher version of the same key was stamped later, under the lock of its row. (A lower one may be later as well; then the
   * store is asked again.) The token is a client's word, and its version may not even be committed yet.
   */
  remember(token: SessionToken | undefined, id: string): void {
    const entry = this.local.get(id)
    if (entry === undefined || token?.written === undefined || !concerns(token, id)) return
    const { version, epoch } = token.written
    if (epoch === this.position.epoch && BigInt(entry.version) >= BigInt(version.replace('-', '')))
      this.confirmed.add(version)
  }

  /** A flight begins: before its statement is sent. */
  open(id: string, nowMs: number): Flight {
    return this.flights.open(id, this.#feedNow(), nowMs)
  }

  #feedNow(): FeedNow {
    const { generation, coveredGeneration, mayPut } = this.lease
    return { generation, coveredGeneration, mayPut }
  }

  /** Whether it was put. `asOfMs`: only for what a replica said. */
  put(
    token: Flight,
    { key, value, version, epoch, remainingMs, isComparable }: StoredEntry,
    asOfMs?: number,
  ): boolean {
    if (!this.#isOurs(epoch, token.openedAtMs)) return false
    // What is kept is read before what the store has.
    if (this.#parts.isKept(token.id) || !this.flights.mayPut(token, version, this.#feedNow())) return false
    // P12: what the database said remained, remained when we asked or later.
    const rowExpiresAtMs = token.openedAtMs + (remainingMs ?? Number.POSITIVE_INFINITY)
    this.local.put(token.id, {
      key,
      value,
      version,
      isComparable,
      asOfMs: asOfMs ?? token.openedAtMs,
      expiresAtMs: Math.min(this.#parts.clock.now() + this.#ttl.drawMs(key), rowExpiresAtMs),
      rowExpiresAtMs,
      bytes: Buffer.byteLength(key) + Buffer.byteLength(value),
    })
    this.flights.told(token, version)
    if (asOfMs === undefined) this.confirmed.add(version)
    return true
  }

  /**
   * A write of ours has happened: for everybody else here that is a change like any other. Without a version
   * there was nothing to delete, and what is held is wrong all the same.
   */
  acknowledged(token: Flight, written: Written | undefined): void {
    const { id, changes } = token
    if (written && this.flights.unbroken(token, this.#feedNow()) && !changes.includes(written.version)) {
      this.unconfirmed.acknowledged(id, written.version, this.#parts.clock.now())
    }
    this.written(id, written, token.openedAtMs)
    // In another history an entry of this very version can be another value.
    this.local.drop(id)
  }

  /**
   * The store has told that this was written (undefined: that nothing was). In another history, which the answer can
   * outlast, the same version is another write.
   */
  written(id: string, written: Written | undefined, askedMs = Number.NEGATIVE_INFINITY): void {
    const version = written && this.#isOurs(written.epoch, askedMs) ? written.version : undefined
    if (written !== undefined && version !== undefined) {
      // Full, it forgets: then a write that is kept may be a conflict though nothing has changed.
      if (this.#writtenSinceMark.size >= maxWrittenSinceMark) this.#writtenSinceMark.clear()
      this.#writtenSinceMark.set(id, written)
      this.position.version(version)
      this.confirmed.add(version)
    }
    this.apply(id, version)
  }

  /**
   * P2: a change drops the entry unless the entry is that very change. `undefined`: one that we know to have
   * happened, or that may have, under a version we do not know.
   */
  apply(id: string, version: Version | undefined): void {
    this.flights.changed(id, version)
    this.#parts.replicaReads?.shown(id)
    const entry = this.local.get(id)
    if (entry === undefined || entry.version === version) return
    this.local.drop(id)
    this.#parts.stats.invalidations++
  }

  /** The store has answered a flight from this history. */
  observe(epoch: Epoch, { openedAtMs }: Flight): void {
    this.#isOurs(epoch, openedAtMs)
  }

  /** What the row of a write that is kept now must still be (P9). */
  baseOf(id: string): Base {
    const entry = this.local.get(id)
    if (entry)
      return {
        kind: 'held',
        version: entry.version,
        value: entry.isComparable ? entry.value : undefined,
        fingerprint: this.#fingerprint,
      }
    const written = this.#writtenSinceMark.get(id)
    if (written?.epoch === this.position.epoch && written !== undefined && !written.version.startsWith('-'))
      return { kind: 'held', version: written.version, value: undefined, fingerprint: this.#fingerprint }
    return this.position.unseen
  }

  /** A write of ours may have happened: nothing that was known of the row holds. */
  doubtWrite(id: string): void {
    this.#writtenSinceMark.delete(id)
    this.apply(id, undefined)
  }

  marked(mark: Mark, latest: bigint): void {
    this.position.marked(mark, latest)
    this.#writtenSinceMark.clear()
  }

  #isOurs(epoch: Epoch, askedMs: number): boolean {
    if (epoch === this.position.epoch) return true
    if (this.position.epoch !== undefined) this.#parts.onForeignHistory(askedMs)
    return false
  }

  /** True if the table was rewritten, or its triggers changed, since it was last seen: versions may stand for other values. */
  tableSeen(fingerprint: string): boolean {
    const before = this.#fingerprint
    this.#fingerprint = fingerprint
    const isChanged = before !== undefined && before !== fingerprint
    if (isChanged) this.#writtenSinceMark.clear()
    return isChanged
  }

  /** Fingerprint of the table when it was last seen. */
  get fingerprint(): string | undefined {
    return this.#fingerprint
  }

  /**
   * The database's clock was at `databaseMs` at some moment from `sinceMs` to `nowMs`. If it has been put forward, or ours
   * stood still, rows have expired that are still held: those that expire are dropped (P12).
   */
  databaseClockSeen(databaseMs: number, sinceMs: number, nowMs: number): void {
    const before = this.#clockAheadMs
    this.#clockAheadMs = databaseMs - sinceMs
    if (before === undefined || databaseMs - nowMs - before <= clockToleranceMs) return
    for (const entry of [...this.local.entries()])
      if (entry.rowExpiresAtMs !== Number.POSITIVE_INFINITY) this.local.drop(keyId(entry.key))
    // What is in flight was told what remained before.
    this.lease.stopFlights()
    this.flights.doubted()
  }

  /** Nothing that is held, or known of versions, means anything any more. */
  forget(): void {
    this.local.clear()
    this.confirmed.clear()
    this.doubt()
  }

  /** Changes may have been missed, or came that were not named. */
  doubt(): void {
    this.flights.doubted()
    this.unconfirmed.clear()
    this.#parts.replicaReads?.doubt()
  }
}
