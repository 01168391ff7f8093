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

/** Tolerance for corrections of the database's clock, which are not treated as a jump. */
const clockToleranceMs = 1_000
const maxWrittenSinceMark = 10_000
/** The store may answer with a mark that another sidecar has made up to 5 seconds before. */
const oldestMarkMs = 6_000

interface OwnWrite extends Written {
  /** Time at which it was acknowledged. */
  readonly atMs: number
}

export interface CacheStateParts {
  readonly maxStalenessMs: number
  readonly clock: Clock
  readonly stats: Stats
  readonly replicaReads: ReplicaReads | undefined
  /** Returns true if there is a pending write of the key. */
  readonly isKept: (id: string) => boolean
  /** Called when the store, asked at `askedMs`, has answered from another history than the current one. */
  readonly onForeignHistory: (askedMs: number) => void
  readonly random: (() => number) | undefined
}

/**
 * The entries that this sidecar holds and the changes that it knows of, with the rules for both: P1 to P3, and who may
 * get a hit (P7).
 */
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
  /**
   * Writes of this sidecar that the last mark does not cover. Their entries may not have been put, or may have been
   * evicted since.
   */
  readonly #writtenSinceMark = new Map<string, OwnWrite>()
  /** Upper bound of the database's wall clock minus the sidecar's clock, in ms. */
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
   * Changes the bounds. Tokens, the lease and flights are not affected. For entries that are held, a shorter time to
   * live counts from now, so that they do not all expire at once; a longer one applies from the next fill.
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

  /**
   * Returns a fresh entry: one that is held, is within its time to live, and is covered by the lease. This is the hit
   * path.
   */
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

  /** Returns the entry if it is held and within its time to live. */
  usable(id: string, nowMs: number): Entry | undefined {
    const entry = this.local.get(id)
    return entry !== undefined && entry.expiresAtMs > nowMs ? entry : undefined
  }

  /**
   * P11: returns true if the store has told this sidecar of the write that the token came from. A change does not
   * count, because anybody can announce a version before it is committed.
   */
  satisfies(token: SessionToken | undefined, id: string): boolean {
    if (token === undefined || !concerns(token, id)) return true
    const { written } = token
    if (written === undefined || written.epoch !== this.position.epoch) return false
    return this.confirmed.has(written.version) || this.local.get(id)?.version === written.version
  }

  /**
   * Remembers the token of a read that has been put, so that it satisfies later reads, too, if the entry is not older.
   * A higher version of the same key was stamped later, under the lock of its row. (A lower one may be later as well;
   * then the store is asked again.) The token is a client's word, and its version may not even be committed yet.
   */
  remember(token: SessionToken | undefined, id: string): void {
    const entry = this.local.get(id)
    if (entry === undefined || token?.written === undefined || !concerns(token, id)) return
    const { version, epoch } = token.written
    if (epoch === this.position.epoch && BigInt(entry.version) >= BigInt(version.replace('-', '')))
      this.confirmed.add(version)
  }

  /** Starts a flight. Call this before its statement is sent. */
  open(id: string, nowMs: number): Flight {
    return this.flights.open(id, this.#feedNow(), nowMs)
  }

  #feedNow(): FeedNow {
    const { generation, coveredGeneration, mayPut } = this.lease
    return { generation, coveredGeneration, mayPut }
  }

  /**
   * Puts the result of a flight into memory, if that is safe. Returns true if it was put. `asOfMs` is only given for
   * the answer of a replica.
   */
  put(
    token: Flight,
    { key, value, version, epoch, remainingMs, isComparable }: StoredEntry,
    asOfMs?: number,
  ): boolean {
    if (!this.#isOurs(epoch, token.openedAtMs)) return false
    // A pending write takes precedence over what the store has.
    if (this.#parts.isKept(token.id) || !this.flights.mayPut(token, version, this.#feedNow())) return false
    // P12: the remaining time that the database computed counts from the moment at which it was asked, or from later.
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
   * Records that a write of this sidecar has happened. For all other flights it is a change like any other. Without a
   * version there was nothing to delete, but the entry is wrong all the same.
   */
  acknowledged(token: Flight, written: Written | undefined): void {
    const { id, changes } = token
    if (written && this.flights.unbroken(token, this.#feedNow()) && !changes.includes(written.version)) {
      this.unconfirmed.acknowledged(id, written.version, this.#parts.clock.now())
    }
    this.written(id, written, token.openedAtMs)
    // In another history, an entry with this very version can have another value.
    this.local.drop(id)
  }

  /**
   * Records that the store has confirmed a write (undefined: that nothing was written). The answer may be from another
   * history, in which the same version is another write.
   */
  written(id: string, written: Written | undefined, askedMs = Number.NEGATIVE_INFINITY): void {
    const version = written && this.#isOurs(written.epoch, askedMs) ? written.version : undefined
    if (written !== undefined && version !== undefined) {
      // If the map is full, it is cleared. A pending write may then be a conflict although nothing has changed.
      if (this.#writtenSinceMark.size >= maxWrittenSinceMark) this.#writtenSinceMark.clear()
      this.#writtenSinceMark.set(id, { version, epoch: written.epoch, atMs: this.#parts.clock.now() })
      this.position.version(version)
      this.confirmed.add(version)
    }
    this.apply(id, version)
  }

  /**
   * P2: applies a change, which drops the entry unless the entry has exactly that version. `undefined` stands for a
   * change that has happened, or may have happened, with an unknown version.
   */
  apply(id: string, version: Version | undefined): void {
    this.flights.changed(id, version)
    this.#parts.replicaReads?.shown(id)
    const own = this.#writtenSinceMark.get(id)
    if (own !== undefined && own.version !== version && isLater(version, own.version))
      this.#writtenSinceMark.delete(id)
    const entry = this.local.get(id)
    if (entry === undefined || entry.version === version) return
    this.local.drop(id)
    this.#parts.stats.invalidations++
  }

  /** Checks the epoch of an answer of the store to a flight. */
  observe(epoch: Epoch, { openedAtMs }: Flight): void {
    this.#isOurs(epoch, openedAtMs)
  }

  /** Returns the base of a new pending write: what its row must still be (P9). */
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

  /**
   * Records that a write of this sidecar may have happened, so that nothing known about the row is certain any more.
   */
  doubtWrite(id: string): void {
    this.#writtenSinceMark.delete(id)
    this.apply(id, undefined)
  }

  /**
   * Records the mark that the store was asked for at `askedMs`. It covers no write of this sidecar that was
   * acknowledged after it was made:
   *   1. the sidecar asks for a mark, and the store makes one       3. the answer to 1. arrives
   *   2. a pending write is settled                                 4. an outage; another write of its key is kept
   * Judged by the mark alone, the row would be newer than everything that this sidecar knows of.
   */
  marked(mark: Mark, latest: bigint, askedMs: number): void {
    this.position.marked(mark, latest)
    for (const [id, { atMs }] of this.#writtenSinceMark)
      if (atMs < askedMs - oldestMarkMs) this.#writtenSinceMark.delete(id)
  }

  #isOurs(epoch: Epoch, askedMs: number): boolean {
    if (epoch === this.position.epoch) return true
    if (this.position.epoch !== undefined) this.#parts.onForeignHistory(askedMs)
    return false
  }

  /**
   * Records the fingerprint of the table. Returns true if it differs from the last one: the table was rewritten, or its
   * triggers changed, so versions may stand for other values.
   */
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
   * Records that the database's clock was at `databaseMs` at some moment from `sinceMs` to `nowMs`. If that clock was
   * set forward, or the sidecar's clock stood still, rows have expired whose entries are still held. So entries with an
   * expiry are dropped (P12).
   */
  databaseClockSeen(databaseMs: number, sinceMs: number, nowMs: number): void {
    const before = this.#clockAheadMs
    this.#clockAheadMs = databaseMs - sinceMs
    if (before === undefined || databaseMs - nowMs - before <= clockToleranceMs) return
    for (const entry of [...this.local.entries()])
      if (entry.rowExpiresAtMs !== Number.POSITIVE_INFINITY) this.local.drop(keyId(entry.key))
    // Flights got remaining times from before the jump.
    this.lease.stopFlights()
    this.flights.doubted()
  }

  /** Drops all entries and everything known about versions. */
  forget(): void {
    this.local.clear()
    this.confirmed.clear()
    this.doubt()
  }

  /** Records that changes may have been missed, or came unnamed. */
  doubt(): void {
    this.flights.doubted()
    this.unconfirmed.clear()
    this.#parts.replicaReads?.doubt()
  }
}

/** Returns true for an unknown version, too. A version is a number, with a minus sign for a delete. */
function isLater(version: Version | undefined, than: Version): boolean {
  return version === undefined || BigInt(version.replace('-', '')) > BigInt(than.replace('-', ''))
}
