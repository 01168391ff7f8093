import type { ChangeLog } from '../changes/change-log.js'
import type { Epoch } from '../entry.js'
import type { Clock, Log, Store } from '../ports.js'
import type { CacheState } from '../state/cache-state.js'
import type { DatabasePosition } from '../state/database-position.js'
import type { HeldEntries } from '../state/held-entries.js'
import type { Comparison, Lease } from '../state/lease.js'
import type { NegativeEntries } from '../state/negative-entries.js'
import type { Stats } from '../stats.js'
import type { Delivery } from '../writes/delivery.js'
import type { FeedLog } from './feed-log.js'

export interface RevalidationParts {
  readonly store: Store
  readonly state: Pick<CacheState, 'forget'> & {
    readonly entries: Pick<HeldEntries, 'size' | 'ids' | 'peek' | 'drop'>
    readonly absences: Pick<NegativeEntries, 'ids' | 'peek' | 'drop'>
  }
  readonly lease: Lease
  readonly position: DatabasePosition
  readonly delivery: Pick<Delivery, 'send' | 'historyChanged'>
  readonly stats: Stats
  readonly log: Log
  readonly feedLog: FeedLog
  readonly changeLog: Pick<ChangeLog, 'gap'>
  readonly clock: Clock
  /** Minimum time from one comparison to the next, unless a probe comes in between. */
  readonly pauseMs: number
}

/** Number of keys per statement, small enough that a hit meanwhile waits for a few milliseconds at most. */
const keysPerStatement = 1_000

/**
 * Brings the cache from `catching-up` to `live`: asks the primary for each version held whether it is still current
 * (P6).
 */
export class Revalidation {
  readonly #parts: RevalidationParts
  #running: Promise<boolean> | undefined
  #startedMs = Number.NEGATIVE_INFINITY

  constructor(parts: RevalidationParts) {
    this.#parts = parts
  }

  /**
   * Compares all entries once. Rejects if the store cannot be asked. Calls made during a comparison share it, unless
   * the feed has been lost since it began. Doubts that come up meanwhile are left to the next call.
   */
  async run(): Promise<void> {
    this.#running ??= this.#compareOnce().finally(() => {
      this.#running = undefined
    })
    const isCurrent = await this.#running
    // The comparison belonged to an earlier session of the feed.
    if (!isCurrent && this.#parts.lease.state === 'catching-up') await this.run()
  }

  /** Starts the next comparison if one is needed and none is under way. */
  runIfNeeded(): Promise<void> | undefined {
    const isNeeded = this.#running === undefined && this.#parts.lease.state === 'catching-up'
    return isNeeded ? this.run() : undefined
  }

  /**
   * Starts the next comparison if one is needed, none is under way, and the last one did not begin a moment ago.
   * Otherwise the next probe starts it.
   */
  runIfDue(): Promise<void> | undefined {
    const { clock, pauseMs } = this.#parts
    return clock.now() - this.#startedMs >= pauseMs ? this.runIfNeeded() : undefined
  }

  /** Runs one comparison. Resolves to false if the feed was lost meanwhile. */
  async #compareOnce(): Promise<boolean> {
    const { state, lease, position, delivery, feedLog, changeLog, clock } = this.#parts
    this.#startedMs = clock.now()
    let comparison = lease.comparing()
    if (await this.#isAnotherHistory(comparison)) {
      state.forget()
      delivery.historyChanged()
      // Flights belong to the other history: their results must not be put.
      lease.doubt()
      comparison = lease.comparing()
    }
    if (lease.isCurrent(comparison)) await this.#compare(comparison)
    if (!lease.compared(comparison)) return false
    // The comparison has dropped what was wrong here, and followers were not told of it.
    changeLog.gap()
    if (lease.state === 'live') feedLog.live({ epoch: position.epoch, entries: state.entries.size })
    return true
  }

  /**
   * Asks for the database's position. Resolves to true if the entries do not belong to its history: the epoch differs,
   * the position was rewound, or the mark is missing, because a snapshot from before it was put back.
   */
  async #isAnotherHistory(comparison: Comparison): Promise<boolean> {
    const { store, lease, position, stats, log } = this.#parts
    const [before, floor, mark] = [position.epoch, position.latest, position.mark]
    const answer = await store.position(mark)
    if (!lease.isCurrent(comparison)) return false
    const progress = position.observe(answer, floor)
    const reason = progress === 'onward' && !answer.hasMark ? 'rewound' : progress
    if (reason === 'onward' || reason === 'first') return false
    position.rewound()
    stats.flushes++
    log.warn({ reason, before, now: answer.epoch }, 'the database has another history: cache flushed')
    return true
  }

  /**
   * Drops every entry whose version is not the primary's, and every absence of a key that has a row. The feed is
   * listening already. A comparison before LISTEN would lose changes:
   *
   *   1. The comparison confirms version 7.
   *   2. Another client writes version 8.
   *   3. LISTEN takes effect.
   *   4. Version 7 is trusted, and no change will ever announce version 8.
   */
  async #compare(comparison: Comparison): Promise<void> {
    const { store, state, lease, position, delivery, stats } = this.#parts
    const { epoch } = position
    await delivery.send()

    stats.revalidations++
    for (const held of [state.entries, state.absences]) {
      const ids = held.ids()
      for (let start = 0; start < ids.length; start += keysPerStatement) {
        const chunk = ids.slice(start, start + keysPerStatement).flatMap((id) => {
          const one = held.peek(id)
          return one ? [{ id, key: one.key, version: one.version }] : []
        })
        const versions = await store.versions(
          chunk.map(({ key }) => key),
          epoch as Epoch,
        )
        if (!lease.isCurrent(comparison)) return
        for (const { id, key, version } of chunk) {
          const isCurrent = versions !== undefined && versions.get(key) === version
          if (!isCurrent && held.drop(id)) stats.revalidationDrops++
        }
      }
    }
  }
}
