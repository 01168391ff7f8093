import { setTimeout as sleep } from 'node:timers/promises'
import type { Stats } from '../../support/json-client.js'
import type { KeeperEnd } from '../oracle/durability.js'
import { type History, unknownHorizonMs } from '../oracle/history.js'
import type { Member } from './fleet.js'

/** Members of `GET /cache/stats` that the run reads. */
export type SidecarStats = Pick<
  Stats,
  'size' | 'hits' | 'invalidations' | 'evictions' | 'feed' | 'writes' | 'replica'
>

export async function statsOf({ observer }: Member): Promise<SidecarStats | undefined> {
  return (await observer.look('/cache/stats')) as SidecarStats | undefined
}

const everyMs = 500

/** Asks every sidecar for its counters, twice a second, so that those of a killed one are not lost. */
export class Observer {
  /** Called with what a sidecar holds that holds too much. */
  readonly #onOverfull: (member: Member, size: number) => void
  readonly #members: readonly Member[]
  readonly #history: History
  /** Latest statistics by incarnation. */
  readonly #latest = new Map<string, SidecarStats>()
  readonly #killed = new Set<string>()
  #entriesFlushed = 0
  readonly #stopping = new AbortController()
  #running: Promise<unknown> = Promise.resolve()

  constructor(
    members: readonly Member[],
    history: History,
    onOverfull: (member: Member, size: number) => void,
  ) {
    this.#onOverfull = onOverfull
    this.#members = members
    this.#history = history
  }

  start(): void {
    this.#running = Promise.all(this.#members.map((member) => this.#watch(member)))
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  /** Asks now. */
  async look(member: Member): Promise<SidecarStats | undefined> {
    const { via } = member.sidecar
    const askedMs = performance.now()
    const stats = await statsOf(member)
    // Started again meanwhile: whose answer that was is not known.
    if (stats === undefined || via !== member.sidecar.via) return undefined
    if (stats.size > member.capacity) this.#onOverfull(member, stats.size)
    const before = this.#latest.get(via)
    if (before && stats.feed.flushes > before.feed.flushes) this.#entriesFlushed += before.size
    this.#latest.set(via, stats)
    if (stats.writes.pending === 0) this.#history.pendingSettled(via, askedMs, performance.now())
    return stats
  }

  /** It has been ended; what it had kept and not sent is gone. A last statement may still be on its way. */
  ended(via: string): void {
    this.#killed.add(via)
    this.#history.pendingSettled(via, Number.POSITIVE_INFINITY, performance.now() + unknownHorizonMs)
  }

  /** Every incarnation there was. */
  get keepers(): ReadonlyMap<string, KeeperEnd> {
    const names = [...new Set([...this.#latest.keys(), ...this.#killed])]
    return new Map(
      names.map((via) => [
        via,
        { killed: this.#killed.has(via), conflicts: this.#latest.get(via)?.writes.pending_conflicts ?? 0 },
      ]),
    )
  }

  /** Held when the sidecar was looked at last before it dropped everything. */
  get entriesFlushed(): number {
    return this.#entriesFlushed
  }

  /** Over all sidecars, those that were killed with what was heard of them last. */
  sum(pick: (stats: SidecarStats) => number): number {
    return [...this.#latest.values()].reduce((sum, stats) => sum + pick(stats), 0)
  }

  async #watch(member: Member): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.look(member)
      await sleep(everyMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined)
    }
  }
}
