import type { FeedLog } from './feed-log.js'
import type { KeptWrites } from './kept-writes.js'
import type { Memory } from './memory.js'
import type { Log, Store } from './ports.js'
import type { Stats } from './stats.js'

export interface RevalidationParts {
  readonly store: Store
  readonly memory: Pick<Memory, 'lease' | 'local' | 'lastHeard' | 'recent'>
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
  #running: Promise<void> | undefined

  constructor(parts: RevalidationParts) {
    this.#parts = parts
  }

  /** Rejects when the store cannot be asked. Calls made while one is under way share it. */
  async run(): Promise<void> {
    this.#running ??= this.#untilCaughtUp().finally(() => {
      this.#running = undefined
    })
    await this.#running
    // A doubt that came up just as the comparison ended has not been seen by it.
    if (this.#parts.memory.lease.state === 'catching-up') await this.run()
  }

  /** Once more for every doubt that came up while comparing. */
  async #untilCaughtUp(): Promise<void> {
    const { memory, feedLog } = this.#parts
    const { lease, lastHeard, local } = memory
    while (lease.state === 'catching-up') {
      const { generation } = lease
      await this.#compare(generation)
      lease.caughtUp(generation)
    }
    if (lease.state === 'live') feedLog.live({ epoch: lastHeard.epoch, entries: local.size })
  }

  /**
   * Drops every entry whose version is not the primary's. The feed is listening already; comparing before
   * that would lose changes:
   *   1. compare: version 7 still holds       3. LISTEN
   *   2. another client writes version 8      4. version 7 is trusted, and no change will ever tell
   */
  async #compare(generation: number): Promise<void> {
    const { store, memory, kept, stats, log } = this.#parts
    const { lease, local, lastHeard, recent } = memory
    const position = await store.position()
    if (generation !== lease.generation) return
    const before = lastHeard.epoch
    if (lastHeard.position(position)) {
      local.clear()
      recent.clear()
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
      if (generation !== lease.generation) return
      for (const { id, key, version } of chunk) {
        if (versions.get(key) !== version && local.drop(id)) stats.revalidationDrops++
      }
    }
  }
}
