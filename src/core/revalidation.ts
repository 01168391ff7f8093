import type { FeedLog } from './feed-log.js'
import type { KeptWrites } from './kept-writes.js'
import type { Comparison } from './lease.js'
import type { Memory } from './memory.js'
import type { Log, Store } from './ports.js'
import type { Stats } from './stats.js'

export interface RevalidationParts {
  readonly store: Store
  readonly memory: Pick<Memory, 'lease' | 'local' | 'lastHeard' | 'confirmed'>
  readonly kept: KeptWrites
  readonly stats: Stats
  readonly log: Log
  readonly feedLog: FeedLog
}

/** So many that a hit meanwhile waits for a few milliseconds at most. */
const keysPerStatement = 1_000

/** Brings the cache from `catching-up` to `live`: asks whether every version held still holds (P6). */
export class Revalidation {
  readonly #parts: RevalidationParts
  #running: Promise<boolean> | undefined

  constructor(parts: RevalidationParts) {
    this.#parts = parts
  }

  /**
   * Compares everything held, once. Rejects if the store cannot be asked. Calls made while a comparison is under way share
   * it, unless the feed has been lost since it began; doubts that come up meanwhile are left to the next call.
   */
  async run(): Promise<void> {
    this.#running ??= this.#compareOnce().finally(() => {
      this.#running = undefined
    })
    const isCurrent = await this.#running
    // It belonged to an earlier session of the feed.
    if (!isCurrent && this.#parts.memory.lease.state === 'catching-up') await this.run()
  }

  /** Starts the next comparison if one is due and none is under way. */
  runIfDue(): Promise<void> | undefined {
    const isDue = this.#running === undefined && this.#parts.memory.lease.state === 'catching-up'
    return isDue ? this.run() : undefined
  }

  /** Resolves to false if the feed was lost meanwhile. */
  async #compareOnce(): Promise<boolean> {
    const { memory, feedLog } = this.#parts
    const { lease, lastHeard, local } = memory
    const comparison = lease.comparing()
    await this.#compare(comparison)
    if (!lease.compared(comparison)) return false
    if (lease.state === 'live') feedLog.live({ epoch: lastHeard.epoch, entries: local.size })
    return true
  }

  /**
   * Drops every entry whose version is not the primary's. The feed is listening already; comparing before
   * that would lose changes:
   *   1. compare: version 7 still holds       3. LISTEN
   *   2. another client writes version 8      4. version 7 is trusted, and no change will ever tell
   */
  async #compare(comparison: Comparison): Promise<void> {
    const { store, memory, kept, stats, log } = this.#parts
    const { lease, local, lastHeard, confirmed } = memory
    const position = await store.position()
    if (!lease.isCurrent(comparison)) return
    const before = lastHeard.epoch
    if (lastHeard.position(position)) {
      local.clear()
      confirmed.clear()
      if (before !== undefined) {
        stats.flushes++
        log.warn({ before, now: position.epoch }, 'the database has another history: cache flushed')
      }
    }
    await kept.send()

    stats.revalidations++
    const ids = local.ids()
    for (let start = 0; start < ids.length; start += keysPerStatement) {
      const chunk = ids.slice(start, start + keysPerStatement).flatMap((id) => {
        const entry = local.peek(id)
        return entry ? [{ id, key: entry.key, version: entry.version }] : []
      })
      const versions = await store.versions(
        chunk.map(({ key }) => key),
        position.epoch,
      )
      if (!lease.isCurrent(comparison)) return
      for (const { id, key, version } of chunk) {
        if (versions.get(key) !== version && local.drop(id)) stats.revalidationDrops++
      }
    }
  }
}
