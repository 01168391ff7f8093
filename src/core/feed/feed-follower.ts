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

/** Minimum time between two marks. A pending write can conflict with any change since the last mark. */
const markIntervalMs = 10_000

/**
 * Follows the change feed: applies changes, renews the lease, and starts a comparison where changes may have been
 * missed (P5 to P8).
 */
export class FeedFollower implements ChangeFeedHandler {
  readonly #parts: FeedFollowerParts
  readonly #feedLog: FeedLog
  readonly #revalidation: Revalidation
  #reason = 'starting'
  #session: FeedSession | undefined
  #listeningMs = Number.POSITIVE_INFINITY
  /** Highest version known before the next probe is sent. */
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

  /** Reason for which the feed is not live, as it may be shown in public. */
  get reason(): string {
    return this.#reason
  }

  /**
   * Ends the session if the store, asked at `askedMs`, has answered from another history than the one that is
   * followed.
   */
  foreignHistory(askedMs: number): void {
    // A late answer from before this session says nothing about the present.
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
    const { unconfirmed, lease, position } = this.#parts.state
    const nowMs = this.#parts.clock.now()
    if (unconfirmed.anyBefore(asOfMs)) throw new PublicError('a write of our own was not announced')
    if (this.#session === undefined) throw new PublicError('there is no session that could prove anything')
    if (position.epoch !== undefined) {
      // The next session asks for the position again, and drops all entries.
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

  /** Drops all entries, because their versions may stand for other values. */
  #flush(reason: string): void {
    this.#parts.stats.flushes++
    this.#parts.log.info({ reason }, 'cache flushed')
    this.#parts.state.forget()
    this.#parts.state.lease.stopFlights()
  }

  /** Writes a mark, the base of later pending writes (P9). Without one they are sent only if there is no row. */
  #leaveMark(): void {
    const { position } = this.#parts.state
    const { epoch } = position
    const askedMs = this.#parts.clock.now()
    this.#markedMs = askedMs
    this.#parts.store.mark().then(
      ({ mark, latest }) => {
        if (position.epoch === epoch) this.#parts.state.marked(mark, latest, askedMs)
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

  /**
   * Called when the feed is lost. Entries stay: they are served while the lease lasts, and are unproven after that
   * (P5).
   */
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
