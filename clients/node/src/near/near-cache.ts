import type { Version } from '../../../../src/core/entry.js'
import type { Clock } from '../../../../src/core/ports.js'
import { type FeedNow, type Flight, Flights, isDelete } from '../../../../src/core/state/flights.js'
import { keyId } from '../../../../src/core/state/key-id.js'
import { Lease } from '../../../../src/core/state/lease.js'
import { LocalCache } from '../../../../src/core/state/local-cache.js'
import { NegativeEntries } from '../../../../src/core/state/negative-entries.js'
import { TtlPolicy } from '../../../../src/core/state/ttl-policy.js'
import { Stats } from '../../../../src/core/stats.js'
import type { NearOptions, NearStats } from '../api.js'
import type { NearEntry } from './near-entry.js'

/** The feed that an answer can be kept by. */
export interface AnswerFeed {
  /** Name of the process and the generation. */
  readonly name: string
  readonly viaOutbox: boolean
}

/** An answer of the sidecar about one key. */
export interface NearAnswer {
  readonly key: string
  /** Undefined if the sidecar does not say that the answer can be kept. */
  readonly feed: AnswerFeed | undefined
  /** The entry; undefined if there is none. */
  readonly entry: Pick<NearEntry, 'content' | 'version' | 'etag' | 'bytes'> | undefined
  /** Remaining time to live of the entry, or of its absence, when it was sent, in ms; undefined if it does not expire. */
  readonly remainingMs: number | undefined
}

/** A read under way. */
export interface NearFlight {
  readonly session: Session | undefined
  readonly flight: Flight | undefined
  readonly openedAtMs: number
}

/** The end of a proof: what a stream says about itself (P19). */
export interface StreamProof {
  /** Time at which the question was sent, by the clock of this process. */
  readonly askedMs: number
  readonly elapsedMs: number
  /** Ages of the two leases of the sidecar; `Infinity` before its first proof. */
  readonly ageMs: number
  readonly outboxAgeMs: number
}

/**
 * Everything that is known of one generation of the changes of one process. What belongs to another session proves
 * nothing in this one, so nothing of it is carried over: neither the lease, nor the reads under way.
 */
class Session {
  readonly feed: string
  readonly lease: Lease
  readonly flights = new Flights()

  constructor(feed: string, maxStalenessMs: number) {
    this.feed = feed
    this.lease = new Lease(maxStalenessMs)
    this.follow()
  }

  /** Changes arrive from now on, and nothing was missed. That proves no moment yet. */
  follow(): void {
    this.lease.listening(Number.NEGATIVE_INFINITY)
    this.lease.compared(this.lease.comparing())
  }

  get now(): FeedNow {
    const { generation, coveredGeneration, mayPut } = this.lease
    return { generation, coveredGeneration, mayPut }
  }
}

/** Part of `maxEntries` that absent keys may take, in a room of their own (P14). */
const shareOfAbsentKeys = 0.1
const usualTtlMs = 60_000

/**
 * The values that this process holds, by the rules of P19, without I/O: `NearFeed` brings the events of a stream, and
 * `Reads` the answers of the sidecar.
 *
 * It is made of the parts of the sidecar's core: `Lease` decides what may be served (P7), `Flights` what may be put
 * (P3), `LocalCache` and `NegativeEntries` hold it. The class `Cache` as a whole does not fit, because what it does
 * besides that is the work of the sidecar: it compares entries with the store where changes were missed, and keeps
 * writes through an outage. HTTP offers no comparison, and here a gap simply drops everything. A store that pretended
 * to know positions, marks and epochs would hide the one rule that matters: an answer counts only if its feed is that
 * of the stream.
 */
export class NearCache {
  readonly #clock: Clock
  readonly #hitClock: Pick<Clock, 'now'>
  readonly #stats = new Stats()
  readonly #ttlMs: number
  readonly #entries: LocalCache<NearEntry>
  readonly #absences: NegativeEntries
  #session: Session | undefined
  #maxStalenessMs: number | undefined

  /** `hitClock` may be ahead of `clock`: then hits end earlier. */
  constructor(
    { maxEntries, maxBytes, ttlMs = usualTtlMs }: NearOptions,
    clock: Clock,
    hitClock: Pick<Clock, 'now'> = clock,
  ) {
    this.#clock = clock
    this.#hitClock = hitClock
    this.#ttlMs = ttlMs
    this.#entries = new LocalCache<NearEntry>({
      capacity: maxEntries,
      maxBytes,
      bytesOf: ({ bytes }) => Math.max(1, bytes),
      onEvict: () => this.#stats.evictions++,
    })
    this.#absences = new NegativeEntries(
      {
        negativeCapacity: Math.ceil(maxEntries * shareOfAbsentKeys),
        maxNegativeBytes: Math.ceil(maxBytes * shareOfAbsentKeys),
      },
      { ttl: new TtlPolicy({ ttlMs }), clock, stats: this.#stats },
    )
  }

  // --- Reads ---

  /** Returns an entry that is held and proven fresh, or null for a key that is known not to exist. */
  hit(key: string): NearEntry | null | undefined {
    const nowMs = this.#hitClock.now()
    const found = this.#fresh(keyId(key), nowMs)
    if (found === undefined) this.#stats.missesAbsent++
    else this.#stats.hits++
    return found
  }

  #fresh(id: string, nowMs: number): NearEntry | null | undefined {
    const lease = this.#session?.lease
    if (!lease?.holds(nowMs)) return undefined
    const entry = this.#entries.get(id)
    if (entry === undefined) {
      const absence = this.#absences.hit(id, nowMs)
      return absence === undefined || (absence.viaOutbox && !lease.outboxHolds(nowMs)) ? undefined : null
    }
    if (entry.expiresAtMs <= nowMs || (entry.viaOutbox && !lease.outboxHolds(nowMs))) return undefined
    return entry
  }

  /** Starts a read. Call this before the request is sent, and `close` at its end. */
  open(key: string): NearFlight {
    const session = this.#session
    const openedAtMs = this.#clock.now()
    const flight = session?.flights.open(keyId(key), session.now, openedAtMs)
    return { session, flight, openedAtMs }
  }

  close({ session, flight }: NearFlight): void {
    if (flight) session?.flights.close(flight)
  }

  /**
   * Holds the answer to a read, if that is safe (P3, P19). Otherwise drops what is held of the key: the caller gets
   * this answer, and must not get an older one afterwards. Returns true if the answer is held.
   */
  answered({ session, flight, openedAtMs }: NearFlight, answer: NearAnswer): boolean {
    const id = keyId(answer.key)
    const { feed } = answer
    // The stream of another sidecar may not bring a change that this one has not heard of yet.
    const isOfStream = session !== undefined && session === this.#session && feed?.name === session.feed
    const isPut = isOfStream && flight !== undefined && this.#put(id, session, flight, openedAtMs, answer)
    if (!isPut) this.#drop(id)
    return isPut
  }

  #put(
    id: string,
    { flights, now }: Session,
    flight: Flight,
    openedAtMs: number,
    { key, feed, entry, remainingMs = Number.POSITIVE_INFINITY }: NearAnswer,
  ): boolean {
    const viaOutbox = feed?.viaOutbox ?? false
    if (entry === undefined) {
      if (!flights.mayPutAbsence(flight, now)) return false
      this.#entries.drop(id)
      this.#absences.put(id, key, openedAtMs, { viaOutbox, remainingMs })
    } else {
      if (!flights.mayPut(flight, entry.version, now)) return false
      this.#absences.drop(id)
      const expiresAtMs = openedAtMs + Math.min(this.#ttlMs, remainingMs)
      const { content, version, etag, bytes } = entry
      this.#entries.put(id, { key, content, version, etag, viaOutbox, expiresAtMs, bytes })
    }
    flights.told(flight, entry?.version)
    return true
  }

  // --- Writes of this client ---

  /**
   * Records that a write of this client has happened, or may have happened: nothing that was read before it may be
   * served or put. `version` is undefined if it is not known.
   */
  written(key: string, version: Version | undefined): void {
    const id = keyId(key)
    this.#session?.flights.changed(id, version)
    this.#drop(id)
  }

  /** Records that this client has removed entries that it cannot name. */
  removedUnnamed(): void {
    this.#entries.clear()
    this.#absences.clear()
    this.#session?.lease.stopFlights()
  }

  // --- The stream of changes ---

  /**
   * A stream has begun. If it continues after the last event of this feed, nothing was missed: otherwise the sidecar
   * sends a gap next. `isContinued` is false if this process could not say after which event it is to continue.
   */
  opened(feed: string, maxStalenessMs: number, isContinued: boolean): void {
    const session = this.#maxStalenessMs === maxStalenessMs ? this.#session : undefined
    this.#maxStalenessMs = maxStalenessMs
    if (isContinued && session?.feed === feed) session.follow()
    else this.gap(feed)
  }

  /**
   * Changes were missed, or could not be named. Drops everything. The lease starts anew as well: another sidecar may
   * answer now, which has not heard everything that the lease covers.
   *
   *   1. This process follows sidecar A. Everything acknowledged before 10.0 s is proven.
   *   2. `k` was changed at 9.9 s, and the change has reached A. The stream of A ends.
   *   3. The next stream is that of sidecar B, which the change has not reached. B answers with the old `k`, proven up
   *      to 8.0 s.
   *   4. With the lease of step 1, the old `k` would be served as if it were proven up to 10.0 s.
   */
  gap(feed: string): void {
    this.#entries.clear()
    this.#absences.clear()
    this.#session = new Session(feed, this.#maxStalenessMs ?? 0)
  }

  /** A change has arrived. It drops the entry unless that has exactly this version (P2). */
  changed(id: string, version: Version | undefined): void {
    this.#stats.changesApplied++
    this.#session?.flights.changed(id, version)
    if (!isDelete(version)) this.#absences.drop(id)
    const entry = this.#entries.peek(id)
    if (entry === undefined || entry.version === version) return
    this.#entries.drop(id)
    this.#stats.invalidations++
  }

  /**
   * A proof has arrived: everything acknowledged before the moment `askedMs` + `elapsedMs` - age has been received. The
   * moment is counted from the time at which the question was sent, and not from the one at which the answer is read:
   *
   *   1. The sidecar writes the proof, and the link stalls.
   *   2. `k` is changed, and acknowledged. The change is behind the proof on the stream.
   *   3. The link goes on, a minute later. The proof is read first, and `k` is still held.
   *
   * Returns false for a proof from the future: the clock of the sidecar has been set forward since the question, so
   * that its durations mean nothing until the next one.
   */
  proven({ askedMs, elapsedMs, ageMs, outboxAgeMs }: StreamProof): boolean {
    const writtenMs = askedMs + elapsedMs
    if (writtenMs > this.#clock.now()) return false
    this.#session?.lease.proven(writtenMs - ageMs, writtenMs - outboxAgeMs)
    return true
  }

  /** The stream has ended. What is held is served while the lease lasts, and nothing is put until it continues. */
  lost(): void {
    this.#session?.lease.lost()
  }

  /** Drops everything, because the client is closed. Nothing is served or put any more. */
  end(): void {
    this.#entries.clear()
    this.#absences.clear()
    this.#session = undefined
  }

  #drop(id: string): void {
    this.#entries.drop(id)
    this.#absences.drop(id)
  }

  // --- Statistics ---

  stats(): NearStats {
    const { hits, missesAbsent, evictions, negativeEvictions, invalidations } = this.#stats
    const lease = this.#session?.lease
    const nowMs = this.#clock.now()
    const leaseAgeMs = lease?.ageMs(nowMs) ?? Number.POSITIVE_INFINITY
    const feedWithStream = lease?.holds(nowMs) ? 'live' : 'unproven'
    return {
      hits,
      misses: missesAbsent,
      entries: this.#entries.size,
      absentKeys: this.#absences.size,
      bytes: this.#entries.bytes + this.#absences.bytes,
      evictions: evictions + negativeEvictions,
      invalidations,
      feed: lease?.state === 'live' ? feedWithStream : 'down',
      leaseAgeMs: Number.isFinite(leaseAgeMs) ? Math.ceil(leaseAgeMs) : undefined,
      maxStalenessMs: this.#maxStalenessMs,
    }
  }
}
