import type { Bindings } from '../bindings/bindings.js'
import type { Cache } from '../cache.js'
import type { KeyWaits } from '../changes/key-waits.js'
import type { Clock } from '../ports.js'
import type { ReadOptions, ReadResult } from '../reads/read-result.js'
import { keyId } from '../state/key-id.js'
import type { FillContest, FillContests } from './fill-contests.js'
import type { FillLeases, WantedLease } from './fill-leases.js'

export interface LeasedReadsParts {
  readonly cache: Pick<Cache, 'get'>
  readonly bindings: Bindings
  readonly contests: FillContests
  readonly leases: FillLeases
  readonly waits: KeyWaits
  readonly clock: Clock
  /** Calls `task` after `ms`, unless the returned function is called before. */
  readonly after: (ms: number, task: () => void) => () => void
}

export interface LeaseRequest extends Omit<WantedLease, 'key'> {
  /** Time to wait for the value that another caller computes; 0 not to wait. */
  readonly waitMs: number
  /** Aborted when the client may be gone, which ends its wait. */
  readonly signal: AbortSignal
  /** Returns true if the client is certainly gone, and gets no lease. */
  readonly isGone: () => boolean
}

export type LeasedRead =
  /** There is a value, or the key is bound. */
  | { readonly kind: 'found'; readonly read: ReadResult }
  /** There is no value, and the caller is to compute it. */
  | { readonly kind: 'granted'; readonly read: ReadResult; readonly lease: string }
  /**
   * There is no value, and the caller gets no lease before this time has passed: another caller has it or, if
   * `isBlocked`, nobody gets it at the moment.
   */
  | {
      readonly kind: 'vain'
      readonly read: ReadResult
      readonly retryAfterMs: number
      readonly isBlocked: boolean
    }

/**
 * Reads for callers that will compute the value if there is none. One caller in the fleet gets a lease to do so, and
 * the others wait until the change feed brings the value (P15). No connection of the database is held meanwhile.
 */
export class LeasedReads {
  readonly #parts: LeasedReadsParts

  constructor(parts: LeasedReadsParts) {
    this.#parts = parts
  }

  /** Reads a key, or gets its lease. Rejects with a CacheError. */
  async get(key: string, options: ReadOptions, request: LeaseRequest): Promise<LeasedRead> {
    const { bindings, contests, waits, clock } = this.#parts
    // Nobody computes the value of a bound key.
    if (bindings.of(key)) return { kind: 'found', read: await this.#parts.cache.get(key, options) }
    const id = keyId(key)
    const contest = contests.enter(id)
    const deadlineMs = clock.now() + request.waitMs
    try {
      for (;;) {
        const { changes } = contest
        const read = await this.#parts.cache.get(key, options)
        if (read.value !== undefined) return { kind: 'found', read }
        const turn = await contest.ask({ key, ...request }, this.#asking)
        if (turn.kind === 'granted') return this.#checked(contest, key, turn.lease, request.isGone)
        const nowMs = clock.now()
        const leftMs = waits.leftMs(deadlineMs, request.signal)
        if (leftMs === 0)
          return { kind: 'vain', read, retryAfterMs: turn.untilMs - nowMs, isBlocked: turn.isBlocked }
        await waits.wait(contest, changes, Math.min(leftMs, turn.untilMs - nowMs), request.signal)
      }
    } finally {
      contests.leave(id)
    }
  }

  /** Ends the lease of a caller who will not store a value. Rejects with a CacheError. */
  giveBack(key: string, lease: string): Promise<void> {
    return this.#parts.leases.giveBack(key, lease)
  }

  /**
   * Reads the key once more, by a statement that begins after the lease was given:
   *
   *   1. A caller reads: there is no value.
   *   2. The holder of the lease stores the value, which ends the lease.
   *   3. The caller asks for the lease, and gets it.
   */
  async #checked(
    contest: FillContest,
    key: string,
    lease: string,
    isGone: LeaseRequest['isGone'],
  ): Promise<LeasedRead> {
    const { cache, contests } = this.#parts
    const read = await cache.get(key, { strong: true }).catch((error: unknown) => {
      this.#release(contest, key, lease)
      throw error
    })
    if (read.value === undefined && !isGone()) {
      contests.granted++
      return { kind: 'granted', read, lease }
    }
    this.#release(contest, key, lease)
    return read.value === undefined
      ? { kind: 'vain', read, retryAfterMs: 0, isBlocked: false }
      : { kind: 'found', read }
  }

  /** Gives a lease back. If that fails, the lease ends by itself. */
  #release(contest: FillContest, key: string, lease: string): void {
    this.#parts.leases.release(key, lease).then(
      () => contest.changed(),
      () => undefined,
    )
  }

  get #asking() {
    const { leases, clock, after } = this.#parts
    const pause = (ms: number) => new Promise<void>((resolve) => after(ms, resolve))
    return { leases, clock, pause }
  }
}
