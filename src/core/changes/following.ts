import type { Bindings } from '../bindings/bindings.js'
import type { Idleness } from '../feed/idleness.js'
import type { Clock } from '../ports.js'
import type { ReadResult } from '../reads/read-result.js'
import type { Lease } from '../state/lease.js'
import type { ChangeLog } from './change-log.js'

export interface FollowingParts {
  readonly changeLog: ChangeLog
  readonly lease: Lease
  readonly idleness: Pick<Idleness, 'beginLasting' | 'endLasting'>
  readonly bindings: Bindings
  readonly clock: Clock
}

/** Ages of the two leases, in ms; `Infinity` before the first proof. */
export interface LeaseAges {
  readonly ageMs: number
  /** Age of the lease of keys whose changes are announced through the outbox (P17). */
  readonly outboxAgeMs: number
}

/** An answer that a follower may keep. */
export interface AnswerOrigin {
  /** True if it needs the lease of the outbox, too. */
  readonly viaOutbox: boolean
}

/** For clients that follow the changes from outside, and keep answers themselves (P19). */
export class Following {
  readonly #parts: FollowingParts

  constructor(parts: FollowingParts) {
    this.#parts = parts
  }

  get changeLog(): ChangeLog {
    return this.#parts.changeLog
  }

  /** Records that somebody follows the changes until `end` is called. The feed must not rest meanwhile. */
  begin(): void {
    const { idleness, clock } = this.#parts
    idleness.beginLasting(clock.now())
  }

  end(): void {
    const { idleness, clock } = this.#parts
    idleness.endLasting(clock.now())
  }

  leaseAges(): LeaseAges {
    const { lease, clock } = this.#parts
    const nowMs = clock.now()
    return { ageMs: lease.ageMs(nowMs), outboxAgeMs: lease.outboxAgeMs(nowMs) }
  }

  /**
   * Returns the origin of an answer that a follower may keep; undefined if it must not keep it. Only an answer that is
   * held here may be kept. Every later change of its key is logged, or there is a gap. Otherwise:
   *
   *   1. The feed is lost. A fill of `k` begins, and the statement reads 1.
   *   2. Another client changes `k` to 2, which is not announced here.
   *   3. The feed is back, and the comparison ends: a gap. The fill must not put its answer (P3).
   *   4. A follower reads `k`, and joins the fill, because default reads may be older than that (P4).
   *   5. The fill is answered with 1. The follower would keep it, and nothing would announce 2 again.
   */
  originOf(key: string, read: ReadResult): AnswerOrigin | undefined {
    const isHeld = read.forwarded === undefined ? read.stale === undefined : read.stored === true
    return isHeld ? { viaOutbox: this.#parts.bindings.of(key)?.viaOutbox ?? false } : undefined
  }
}
