import { type Binding, bindingOf } from '../bindings/bindings.js'
import { SeenBindings } from '../bindings/seen-bindings.js'
import type { ChangeLog } from '../changes/change-log.js'
import type { Change } from '../entry.js'
import { PublicError } from '../errors.js'
import type { ChangeFeedHandler, Clock, FeedSession, Log, Proof, Store } from '../ports.js'
import type { CacheState } from '../state/cache-state.js'
import type { DatabasePosition } from '../state/database-position.js'
import type { FollowedSession } from '../state/followed-session.js'
import { keyHash } from '../state/key-hash.js'
import type { KnownVersions } from '../state/known-versions.js'
import type { Lease } from '../state/lease.js'
import type { Stats } from '../stats.js'
import type { Delivery } from '../writes/delivery.js'
import type { PendingWrites } from '../writes/pending-writes.js'
import { FeedLog, type FeedTransition } from './feed-log.js'
import type { Idleness } from './idleness.js'
import { Revalidation } from './revalidation.js'

export interface FeedFollowerParts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
  readonly state: CacheState
  readonly lease: Lease
  readonly position: DatabasePosition
  readonly session: FollowedSession
  readonly versions: KnownVersions
  readonly pending: PendingWrites
  readonly delivery: Delivery
  readonly idleness: Idleness
  readonly changeLog: ChangeLog
  readonly maxStalenessMs: number
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
  readonly #bindings = new SeenBindings()
  #reason = 'starting'
  /** Highest version known before the next probe is sent. */
  #probeFloor = -1n
  #markedMs = Number.NEGATIVE_INFINITY

  constructor(parts: FeedFollowerParts) {
    this.#parts = parts
    this.#feedLog = new FeedLog(parts.clock, parts.log)
    this.#revalidation = new Revalidation({
      ...parts,
      feedLog: this.#feedLog,
      pauseMs: parts.maxStalenessMs / 3,
    })
  }

  /** Reason for which the feed is not live, as it may be shown in public. */
  get reason(): string {
    return this.#reason
  }

  /** The last changes of the feed's state, oldest first. */
  get transitions(): readonly FeedTransition[] {
    return this.#feedLog.transitions
  }

  async listening(asOfMs: number, session: FeedSession): Promise<void> {
    const { lease, position, session: followed, idleness, stats } = this.#parts
    stats.feedSessions++
    followed.begin(session, asOfMs)
    this.#probeFloor = -1n
    lease.listening(asOfMs)
    this.#catchingUp('connected and listening')
    this.#tableSeen(session.fingerprint)
    await this.#revalidation.run()
    if (!followed.is(session)) return
    idleness.settled()
    if (position.isPastMark) this.#leaveMark()
  }

  proven(asOfMs: number, proof: Proof): Promise<void> | undefined {
    const { state, lease, position, session, delivery, changeLog, clock } = this.#parts
    const nowMs = clock.now()
    if (state.hasUnannounced(asOfMs)) throw new PublicError('a write of our own was not announced')
    if (!session.isOpen) throw new PublicError('there is no session that could prove anything')
    if (position.epoch !== undefined) {
      // The next session asks for the position again, and drops all entries.
      if (!position.isOnward(proof, this.#probeFloor))
        throw new PublicError('the database has another history')
      position.observe(proof, this.#probeFloor)
      this.#probeFloor = position.latest
    }
    this.#tableSeen(proof.fingerprint)
    // Before the lease is renewed: followers must drop what the proof does not cover.
    if (state.databaseClockSeen(proof.databaseMs, asOfMs, nowMs)) changeLog.gap()
    lease.proven(asOfMs, proof.drainedMs)
    delivery.inContact()
    if (position.isPastMark && nowMs - this.#markedMs >= markIntervalMs) this.#leaveMark()
    return this.#revalidation.runIfNeeded()
  }

  /** Drops all entries if the table is not what it was: their versions may stand for other values. */
  #tableSeen(fingerprint: string): void {
    const { state, lease, versions, changeLog, stats, log } = this.#parts
    if (!versions.tableSeen(fingerprint)) return
    stats.flushes++
    log.info({ reason: 'the table was rewritten, or its triggers were changed' }, 'cache flushed')
    state.forget()
    lease.stopFlights()
    changeLog.gap()
  }

  /**
   * Drops what is held of keys whose binding has changed, and pending writes of keys that are bound now. This comes
   * before the lease is renewed, so a change of the bindings that was acknowledged before `asOf` has been applied.
   */
  bound(bindings: readonly Binding[]): void {
    const { state, pending, delivery, changeLog, stats, log } = this.#parts
    const changed = this.#bindings.seen(bindings)
    if (changed.length === 0) return
    log.info({ patterns: changed.map(({ text }) => text) }, 'bindings changed')
    state.dropCovered(changed)
    changeLog.gap()
    for (const [id, { key }] of [...pending]) {
      const binding = bindingOf(bindings, key)
      if (binding === undefined) continue
      delivery.drop(id)
      stats.pendingConflicts++
      const reason = `the key is bound now, by ${binding.pattern.text}`
      log.warn({ keyHash: keyHash(key), reason }, 'a pending write was given up')
    }
  }

  /** Writes a mark, the base of later pending writes (P9). Without one they are sent only if there is no row. */
  #leaveMark(): void {
    const { store, position, versions, clock } = this.#parts
    const { epoch } = position
    const askedMs = clock.now()
    this.#markedMs = askedMs
    store.mark().then(
      ({ mark, latest }) => {
        if (position.epoch === epoch) versions.marked(mark, latest, askedMs)
      },
      () => undefined,
    )
  }

  changed(change: Change): Promise<void> | undefined {
    const { state, lease, changeLog, stats } = this.#parts
    stats.changesApplied++
    if (change.kind === 'key') {
      state.announced(change.id, change.version)
      changeLog.changed(change.id, change.version)
      return undefined
    }
    if (change.kind === 'pattern') {
      state.dropCovered([change.pattern])
      changeLog.gap()
      return undefined
    }
    const wasLive = lease.state === 'live'
    lease.doubt()
    state.doubt()
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
    const { state, lease, session, idleness, stats } = this.#parts
    if (lease.state !== 'down') {
      stats.feedLosses++
      this.#feedLog.lost(reason, shownReason)
    }
    this.#reason = shownReason
    session.end()
    idleness.settled()
    lease.lost()
    state.doubt()
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
    const { state, lease, session, pending, idleness, clock } = this.#parts
    if (lease.state !== 'live' || pending.size > 0 || !idleness.isDue(clock.now())) return undefined
    this.#feedLog.idle()
    this.#reason = 'idle until the next request'
    session.end()
    lease.rest()
    state.doubt()
    return idleness.rest()
  }
}
