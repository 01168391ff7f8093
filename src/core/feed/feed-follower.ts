import type { Change } from '../entry.js'
import { PublicError } from '../errors.js'
import type { ChangeFeedHandler, Clock, FeedSession, Log, Proof, Store } from '../ports.js'
import type { CacheState } from '../state/cache-state.js'
import type { Stats } from '../stats.js'
import type { PendingWrites } from '../writes/pending-writes.js'
import { FeedLog } from './feed-log.js'
import type { Idleness } from './idleness.js'
import { Revalidation } from './revalidation.js'

export interface FeedFollowerParts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
  readonly state: CacheState
  readonly pending: PendingWrites
  readonly idleness: Idleness
  readonly maxStalenessMs: number
  /** Called when the primary has answered. */
  readonly onContact: () => void
}

/** A write that is kept counts as a conflict if its row was changed since the last mark. */
const markIntervalMs = 10_000

/** Follows the change feed: applies changes, renews the lease, and starts a comparison where changes may have been missed (P5 to P8). */
export class FeedFollower implements ChangeFeedHandler {
  readonly #parts: FeedFollowerParts
  readonly #feedLog: FeedLog
  readonly #revalidation: Revalidation
  #reason = 'starting'
  #session: FeedSession | undefined
  #listeningMs = Number.POSITIVE_INFINITY
  /** The highest version that was told before the next probe is sent. */
  #probeFloor = -1n
  #markedMs = Number.NEGATIVE_INFINITY

  constructor(parts: FeedFollowerParts) {
    this.#parts = parts
    const { store, clock, log, stats, state, pending, maxStalenessMs } = parts
    this.#feedLog = new FeedLog(clock, log)
    this.#revalidation = new Revalidation({
      store,
      log,
      stats,
      feedLog: this.#feedLog,
      memory: state,
      kept: pending,
      clock,
      pauseMs: maxStalenessMs / 3,
    })
  }

  /** Why the feed is not live. */
  get reason(): string {
    return this.#reason
  }

  /** The store, asked at `askedMs`, has answered from another history than the one that is followed. */
  foreignHistory(askedMs: number): void {
    // A late answer from before this session says nothing about now.
    if (askedMs > this.#listeningMs) this.#session?.end('the database answers from another history')
  }

  async listening(asOfMs: number, session: FeedSession): Promise<void> {
    const { lease, position } = this.#parts.state
    this.#parts.stats.feedSessions++
    this.#session = session
    this.#listeningMs = asOfMs
    this.#probeFloor = -1n
    lease.listening(asOfMs)
    this.#catchingUp('it listens')
    if (this.#parts.state.tableSeen(session.fingerprint))
      this.#flush('the table was rewritten, or its triggers were changed')
    await this.#revalidation.run()
    if (this.#session === session) this.#parts.idleness.settled()
    if (this.#session === session && position.isPastMark) this.#leaveMark()
  }

  proven(asOfMs: number, proof: Proof): Promise<void> | undefined {
    const { unconfirmed: unheard, lease, position } = this.#parts.state
    const nowMs = this.#parts.clock.now()
    if (unheard.anyBefore(asOfMs)) throw new PublicError('a write of our own was not announced')
    if (this.#session === undefined) throw new PublicError('there is no session that could prove anything')
    if (position.epoch !== undefined) {
      // A new session asks for everything anew, and forgets what is held.
      if (!position.isOnward(proof, this.#probeFloor))
        throw new PublicError('the database has another history')
      position.observe(proof, this.#probeFloor)
      this.#probeFloor = position.latest
    }
    if (this.#parts.state.tableSeen(proof.fingerprint))
      this.#flush('the table was rewritten, or its triggers were changed')
    this.#parts.state.databaseClockSeen(proof.databaseMs, asOfMs, nowMs)
    lease.proven(asOfMs)
    this.#parts.onContact()
    if (position.isPastMark && nowMs - this.#markedMs >= markIntervalMs) this.#leaveMark()
    return this.#revalidation.runIfNeeded()
  }

  /** What is held may stand for other values. */
  #flush(reason: string): void {
    this.#parts.stats.flushes++
    this.#parts.log.info({ reason }, 'cache flushed')
    this.#parts.state.forget()
    this.#parts.state.lease.stopFlights()
  }

  /** The base of writes that have to be kept later (P9). Without one they are sent only where there is no row. */
  #leaveMark(): void {
    const { position } = this.#parts.state
    const { epoch } = position
    this.#markedMs = this.#parts.clock.now()
    this.#parts.store.mark().then(
      ({ mark, latest }) => {
        if (position.epoch === epoch) this.#parts.state.marked(mark, latest)
      },
      () => undefined,
    )
  }

  changed(change: Change): Promise<void> | undefined {
    this.#parts.stats.changesApplied++
    if (change.kind === 'key') {
      this.#parts.state.unconfirmed.heard(change.id, change.version)
      this.#parts.state.apply(change.id, change.version)
      return undefined
    }
    const wasLive = this.#parts.state.lease.state === 'live'
    this.#parts.state.lease.doubt()
    this.#parts.state.doubt()
    if (!wasLive) return undefined
    this.#catchingUp('more has changed than was named')
    return this.#revalidation.runIfDue()
  }

  #catchingUp(reason: string): void {
    this.#reason = 'catching up'
    this.#feedLog.catchingUp(reason)
  }

  /** Entries stay; they are served while the lease lasts, and are unproven after that (P5). */
  lost(reason: string, shownReason = reason): void {
    if (this.#parts.state.lease.state !== 'down') {
      this.#parts.stats.feedLosses++
      this.#feedLog.lost(reason)
    }
    this.#reason = shownReason
    this.#session = undefined
    this.#parts.idleness.settled()
    this.#parts.state.lease.lost()
    this.#parts.state.doubt()
  }

  /**
   * Nothing is proven while nobody asks, and waking is a beginning (P6), whatever the connection has heard meanwhile:
   *   1. the lease is at 10.0 s; at 10.5 s the feed rests. A hit is served until 13.0 s, as after any loss
   *   2. another sidecar's write of `k` is acknowledged, and its change is not heard here
   *   3. a read of `j` comes an hour later. It wakes the feed and is sent to the primary; nothing is put, because the
   *      feed has not caught up
   *   4. LISTEN is in force, and an echo has come back
   *   5. a read of `k`, old here, is sent to the primary as well: `asOf` is still 10.0 s
   *   6. the comparison drops `k`, and `asOf` becomes the moment before 4.
   * A probe in place of 4 to 6 would prove `k`.
   */
  rest(): Promise<void> | undefined {
    const { lease } = this.#parts.state
    if (
      lease.state !== 'live' ||
      this.#parts.pending.size > 0 ||
      !this.#parts.idleness.isDue(this.#parts.clock.now())
    )
      return undefined
    this.#feedLog.idle()
    this.#reason = 'idle until the next request'
    this.#session = undefined
    lease.rest()
    this.#parts.state.doubt()
    return this.#parts.idleness.rest()
  }
}
