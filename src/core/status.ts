import type { StoreFault } from './batching/store-health.js'
import type { BindingCounts } from './bindings/bindings.js'
import type { CacheErrorCode } from './errors.js'
import type { FillCounts } from './leases/fill-contests.js'
import type { FeedState } from './state/lease.js'
import type { Stats } from './stats.js'

/** State of the cache, for statistics, metrics and probes. */
export interface CacheStatus {
  readonly stats: Stats
  readonly size: number
  readonly bytes: number
  /** Number of negative entries, its maximum, and the size of their keys in bytes (P14). */
  readonly negativeSize: number
  readonly negativeCapacity: number
  readonly negativeBytes: number
  readonly pendingWrites: number
  readonly pendingBytes: number
  /** Size of the values of writes whose outcome is unknown, in bytes. */
  readonly unknownBytes: number
  /** Number of statements in flight that return values. */
  readonly valueReads: number
  /**
   * Error with which the database answered the pending writes when they were last sent; undefined if there was none.
   */
  readonly pendingWritesObstacle: CacheErrorCode | undefined
  /** Kinds of statements that keep failing, whatever the state of the feed is. */
  readonly faults: readonly StoreFault[]
  readonly feed: FeedState
  /** Reason why the feed is not live; undefined if it is. */
  readonly feedReason: string | undefined
  /** Age of the lease; `Infinity` before the feed was live for the first time. */
  readonly leaseAgeMs: number
  /** Age of the lease of keys whose changes are announced through the outbox, like `leaseAgeMs` (P17). */
  readonly outboxLeaseAgeMs: number
  /** Time for which the feed has been needed without a pause; `Infinity` if it has never been idle. */
  readonly neededForMs: number
  /** Time until the feed may become idle if there is no request, in ms; `Infinity` if it never does. */
  readonly idleInMs: number
  /** True if a replica may be asked; undefined if none is configured. */
  readonly replicaUsable: boolean | undefined
  readonly fillLeases: FillCounts
  readonly bindings: BindingCounts
}
