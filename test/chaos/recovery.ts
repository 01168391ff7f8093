import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from './fleet.js'
import { type SidecarStats, statsOf } from './observer.js'
import type { FaultKind } from './schedule.js'

export interface Recovered {
  readonly kind: FaultKind
  /** From the fault to the moment when the sidecar said that its feed was lost, where it could have said so. */
  readonly noticedMs: number | undefined
  /** From the end of the fault to the moment when it said that its feed was live; undefined if it did not lose it. */
  readonly recoveredMs: number | undefined
  /** Another fault came in between: nothing was measured. */
  readonly isDisturbed: boolean
}

const everyMs = 25
/** Whoever has not lost the feed by then, does not. */
const unnoticedMs = 5_000
export const recoveryLimitMs = 30_000

/** Measures how long it takes until a sidecar is itself again. A fault that another one runs into is not measured. */
export class RecoveryWatch {
  readonly recovered: Recovered[] = []
  readonly #onTooLate: (member: Member, kind: FaultKind) => void
  readonly #maxStalenessMs: number
  readonly #touched = new Map<Member, number>()
  readonly #watching = new Set<Promise<void>>()

  constructor(maxStalenessMs: number, onTooLate: (member: Member, kind: FaultKind) => void) {
    this.#maxStalenessMs = maxStalenessMs
    this.#onTooLate = onTooLate
  }

  /** Watches that are still under way. */
  get waiting(): number {
    return this.#watching.size
  }

  /**
   * A fault begins for this sidecar. Call what is returned at its end; the first time counts. `isReplaced`: it is another process then,
   * and what counts is only when its feed is live.
   */
  async begin(kind: FaultKind, member: Member, isReplaced = false): Promise<() => void> {
    const touch = (this.#touched.get(member) ?? 0) + 1
    this.#touched.set(member, touch)
    const lossesBefore = isReplaced ? -1 : (await statsOf(member))?.feed.losses
    if (lossesBefore === undefined) return () => undefined
    const beganMs = performance.now()
    const watched: Watched = { kind, member, touch, lossesBefore, beganMs, healedMs: undefined }
    const watching = this.#watch(watched)
    this.#watching.add(watching)
    void watching.finally(() => this.#watching.delete(watching))
    return () => {
      watched.healedMs ??= performance.now()
    }
  }

  async settled(): Promise<void> {
    await Promise.all(this.#watching)
  }

  async #watch(watched: Watched): Promise<void> {
    const { kind, member, touch, lossesBefore, beganMs } = watched
    let noticedMs: number | undefined
    for (;;) {
      // Of the answer, what it says of the time before the fault has ended is only that the loss was noticed.
      const { healedMs } = watched
      const stats = await statsOf(member)
      const nowMs = performance.now()
      if (this.#touched.get(member) !== touch) {
        this.recovered.push({ kind, noticedMs: undefined, recoveredMs: undefined, isDisturbed: true })
        return
      }
      const isLost = stats !== undefined && stats.feed.losses > lossesBefore
      if (isLost && lossesBefore >= 0 && kind !== 'freeze') noticedMs ??= nowMs - beganMs
      if (healedMs !== undefined) {
        if (isLost && this.#isLive(stats)) {
          this.recovered.push({ kind, noticedMs, recoveredMs: nowMs - healedMs, isDisturbed: false })
          return
        }
        if (stats && this.#isLive(stats) && nowMs - healedMs > unnoticedMs) {
          this.recovered.push({ kind, noticedMs: undefined, recoveredMs: undefined, isDisturbed: false })
          return
        }
        if (nowMs - healedMs > recoveryLimitMs) {
          this.#onTooLate(member, kind)
          return
        }
      }
      await sleep(everyMs)
    }
  }

  #isLive({ feed }: SidecarStats): boolean {
    return feed.state === 'live' && feed.lease_age_ms !== null && feed.lease_age_ms <= this.#maxStalenessMs
  }
}

interface Watched {
  readonly kind: FaultKind
  readonly member: Member
  readonly touch: number
  readonly lossesBefore: number
  readonly beganMs: number
  healedMs: number | undefined
}
