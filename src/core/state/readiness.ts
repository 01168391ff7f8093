import type { CacheStatus } from '../cache.js'
import { explanations } from '../errors.js'
import type { BatchOperation } from '../stats.js'

export interface ReadinessRules {
  /** L: how long entries are served as fresh after the last proof. */
  readonly maxStalenessMs: number
  /**
   * How long after that the sidecar is still ready. A database that restarts or fails over takes the lease from
   * every sidecar of a fleet at the same moment. They go on answering: from the database while it can be reached,
   * from memory, marked stale, while it cannot. Were they all called unready, a blip of the database would become
   * an outage of everything that has a sidecar. So the grace has to outlast the longest fail-over that is
   * expected; it is there for the one pod that has lost its feed alone, and for good.
   */
  readonly graceMs: number
  readonly onFeedLoss: 'bypass' | 'stale'
}

/** Requests are not answered yet; they are, but memory is filled first; they are; it has been told to stop. */
export type Phase = 'starting' | 'warming' | 'serving' | 'stopping'

export interface Readiness {
  /**
   * `idle` is ready: the next request is answered by the database, and wakes the feed. `degraded` is ready, too: requests are
   * answered, though not as well as they should be.
   */
  readonly status: 'ready' | 'idle' | 'degraded' | 'unready'
  /** In words; none when it is ready or idle. */
  readonly reasons: readonly string[]
}

/** Should this sidecar, and the pod that it is in, be sent work? */
export function readiness(phase: Phase, status: CacheStatus, rules: ReadinessRules): Readiness {
  if (phase === 'starting') return unready('the data listener is not open yet')
  if (phase === 'stopping') return unready('told to stop')
  const { feed, feedReason, leaseAgeMs, neededForMs, pendingWrites, pendingWritesObstacle, faults } = status
  const { maxStalenessMs, graceMs, onFeedLoss } = rules
  if (leaseAgeMs === Number.POSITIVE_INFINITY) {
    return unready(`has not caught up with the database yet: ${feedReason}`)
  }
  if (phase === 'warming') return unready('memory is being warmed')
  const proven = `the last proof that entries are fresh is ${Math.round(leaseAgeMs)} ms old`
  const isIdle = feed === 'idle'
  // The grace of a sidecar that was idle counts from the request that woke it.
  if (!isIdle && Math.min(leaseAgeMs, neededForMs) > maxStalenessMs + graceMs) {
    return unready(
      `${proven}, more than ${maxStalenessMs} ms and a grace of ${graceMs} ms: ${feedReason ?? feed}`,
    )
  }
  const reasons: string[] = []
  if (isIdle) {
    // The lease runs out, as it should.
  } else if (leaseAgeMs > maxStalenessMs) {
    const instead = onFeedLoss === 'stale' ? 'entries are marked stale' : 'reads go to the database'
    reasons.push(`${proven}, so ${instead}: ${feedReason ?? feed}`)
  } else if (feed !== 'live') reasons.push(`the change feed is ${feed}, so nothing is put: ${feedReason}`)
  for (const { operation, code } of faults) reasons.push(`${inWords[operation]} fail: ${explanations[code]}`)
  if (pendingWrites > 0) {
    const obstacle = pendingWritesObstacle && `: ${explanations[pendingWritesObstacle]}`
    reasons.push(`${pendingWrites} pending writes are not in the database yet${obstacle ?? ''}`)
  }
  if (reasons.length > 0) return { status: 'degraded', reasons }
  return { status: isIdle ? 'idle' : 'ready', reasons }
}

const inWords: Readonly<Record<BatchOperation, string>> = {
  read: 'reads',
  write: 'writes',
  remove: 'deletes',
}

function unready(reason: string): Readiness {
  return { status: 'unready', reasons: [reason] }
}
