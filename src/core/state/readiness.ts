import type { BindingCounts } from '../bindings/bindings.js'
import { explanations } from '../errors.js'
import type { BatchOperation } from '../stats.js'
import type { CacheStatus } from '../status.js'

export interface ReadinessRules {
  /** L: time for which entries are served as fresh after the last proof. */
  readonly maxStalenessMs: number
  /**
   * Time after the lease has run out during which the sidecar is still ready. A database that restarts or fails over
   * takes the lease from every sidecar of a fleet at the same moment. They continue to answer: from the database while
   * it can be reached, and from memory, marked stale, while it cannot. If they all became unready, a short outage of
   * the database would become an outage of every service that has a sidecar. So the grace must outlast the longest
   * expected failover. It exists to detect a single pod that has lost its feed permanently.
   */
  readonly graceMs: number
  readonly onFeedLoss: 'bypass' | 'stale'
}

/**
 * `starting`: not accepting requests yet. `warming`: accepting requests while the cache warms up. `serving`: ready.
 * `stopping`: shutting down.
 */
export type Phase = 'starting' | 'warming' | 'serving' | 'stopping'

/** Kind of a reason, by which its cure is found. */
export type Cause =
  | 'starting'
  | 'stopping'
  | 'never-live'
  | 'warming'
  | 'feed-down'
  | 'feed-catching-up'
  | 'statements-fail'
  | 'pending-writes'
  | 'bindings-unusable'

export interface Reason {
  readonly cause: Cause
  /** Explanation in words. Names no object, role or host, because the pod network reads it. */
  readonly text: string
}

export interface Readiness {
  /**
   * `idle` is ready: the database answers the next request, which wakes the feed. `degraded` is ready, too: requests
   * are answered, but with restrictions.
   */
  readonly status: 'ready' | 'idle' | 'degraded' | 'unready'
  /** Empty if the status is `ready` or `idle`. */
  readonly reasons: readonly Reason[]
}

/** Returns whether this sidecar, and the pod that contains it, should receive requests. */
export function readiness(phase: Phase, status: CacheStatus, rules: ReadinessRules): Readiness {
  if (phase === 'starting') return unready('starting', 'the data listener is not open yet')
  if (phase === 'stopping') return unready('stopping', 'the sidecar is shutting down')
  const {
    feed,
    feedReason,
    leaseAgeMs,
    neededForMs,
    pendingWrites,
    pendingWritesObstacle,
    faults,
    bindings,
  } = status
  const { maxStalenessMs, graceMs, onFeedLoss } = rules
  if (leaseAgeMs === Number.POSITIVE_INFINITY) {
    return unready('never-live', `has not caught up with the database yet: ${feedReason}`)
  }
  if (phase === 'warming') return unready('warming', 'the cache is warming up')
  const proven = `the last proof that entries are fresh is ${Math.round(leaseAgeMs)} ms old`
  const isIdle = feed === 'idle'
  const feedCause = feed === 'catching-up' ? 'feed-catching-up' : 'feed-down'
  // After idleness, the grace counts from the request that woke the sidecar.
  if (!isIdle && Math.min(leaseAgeMs, neededForMs) > maxStalenessMs + graceMs) {
    return unready(
      feedCause,
      `${proven}, more than ${maxStalenessMs} ms and a grace of ${graceMs} ms: ${feedReason ?? feed}`,
    )
  }
  const reasons: Reason[] = []
  const add = (cause: Cause, text: string) => reasons.push({ cause, text })
  if (isIdle) {
    // The lease of an idle sidecar runs out as intended.
  } else if (leaseAgeMs > maxStalenessMs) {
    const instead = onFeedLoss === 'stale' ? 'entries are marked stale' : 'reads go to the database'
    add(feedCause, `${proven}, so ${instead}: ${feedReason ?? feed}`)
  } else if (feed !== 'live')
    add(feedCause, `the change feed is ${feed}, so fills are not kept in memory: ${feedReason}`)
  for (const { operation, code } of faults)
    add('statements-fail', `${inWords[operation]} fail: ${explanations[code]}`)
  if (pendingWrites > 0) {
    const obstacle = pendingWritesObstacle && `: ${explanations[pendingWritesObstacle]}`
    const writes = pendingWrites === 1 ? '1 pending write is' : `${pendingWrites} pending writes are`
    add('pending-writes', `${writes} not in the database yet${obstacle ?? ''}`)
  }
  if (bindings.unusable.length > 0) add('bindings-unusable', unusable(bindings))
  if (reasons.length > 0) return { status: 'degraded', reasons }
  return { status: isIdle ? 'idle' : 'ready', reasons }
}

const inWords: Readonly<Record<BatchOperation, string>> = {
  read: 'reads',
  write: 'writes',
  remove: 'deletes',
}

/** Number of unusable bindings that are named. */
const maxNamed = 3

function unusable({ usable, unusable }: BindingCounts): string {
  const named = unusable.slice(0, maxNamed).map(({ pattern, reason }) => `${pattern}, because ${reason}`)
  const more = unusable.length > maxNamed ? ' (the log names all)' : ''
  const count = `${unusable.length} of ${usable + unusable.length}`
  return `${count} bindings cannot be used, so their keys get 503: ${named.join('; ')}${more}`
}

function unready(cause: Cause, text: string): Readiness {
  return { status: 'unready', reasons: [{ cause, text }] }
}
