import t, { type Test } from 'tap'
import {
  type Cause,
  type Phase,
  type Readiness,
  type ReadinessRules,
  readiness,
} from '../../../../src/core/state/readiness.js'
import { Stats } from '../../../../src/core/stats.js'
import type { CacheStatus } from '../../../../src/core/status.js'

const rules: ReadinessRules = { maxStalenessMs: 3_000, graceMs: 60_000, onFeedLoss: 'bypass' }

const live: CacheStatus = {
  stats: new Stats(),
  size: 0,
  bytes: 0,
  negativeSize: 0,
  negativeCapacity: 0,
  negativeBytes: 0,
  pendingWrites: 0,
  pendingBytes: 0,
  unknownBytes: 0,
  valueReads: 0,
  pendingWritesObstacle: undefined,
  faults: [],
  feed: 'live',
  feedReason: undefined,
  replicaUsable: undefined,
  fillLeases: { granted: 0, refused: 0, waiting: 0 },
  bindings: { usable: 1, unusable: [] },
  outboxLeaseAgeMs: 0,
  leaseAgeMs: 10,
  idleInMs: 1_000,
  neededForMs: Number.POSITIVE_INFINITY,
}

const down = { feed: 'down', feedReason: 'connection refused' } as const

function verdict(status: Partial<CacheStatus>, more: Partial<ReadinessRules> = {}): Readiness {
  return readiness('serving', { ...live, ...status }, { ...rules, ...more })
}

function match(t: Test, found: Readiness, status: string, reason?: RegExp) {
  t.equal(found.status, status)
  t.match(found.reasons.map(({ text }) => text).join('; '), reason ?? /^$/)
}

t.test('a bound table that cannot be read is a degradation, and not more', async (t) => {
  const fault = (n: number) => ({ pattern: `p${n}:{id}`, reason: 'its table was dropped' })
  const said = (count: number) =>
    verdict({ bindings: { usable: 2, unusable: Array.from({ length: count }, (_, n) => fault(n)) } })
  match(
    t,
    said(1),
    'degraded',
    /^1 of 3 bindings cannot be used, so their keys get 503: p0:\{id\}, because its table was dropped$/,
  )
  match(t, said(4), 'degraded', /^4 of 6 .*: p0:.*; p1:.*; p2:[^;]* \(the log names all\)$/)
})

t.test('ready while everything is normal', async (t) => {
  match(t, verdict({}), 'ready')
  match(t, verdict({ leaseAgeMs: 3_000 }), 'ready')
})

t.test('unready before the first catch-up, whatever the grace', async (t) => {
  const waiting = { ...down, leaseAgeMs: Number.POSITIVE_INFINITY }
  match(t, verdict(waiting, { graceMs: Number.MAX_SAFE_INTEGER }), 'unready', /yet: connection refused/)
})

t.test('degraded after a loss of the feed, until lease and grace period are over', async (t) => {
  match(t, verdict({ ...down, leaseAgeMs: 2_000 }), 'degraded', /is down.*connection refused/)
  match(t, verdict({ ...down, leaseAgeMs: 3_001 }), 'degraded', /3001 ms old, so reads go to the database/)
  match(t, verdict({ ...down, leaseAgeMs: 3_001 }, { onFeedLoss: 'stale' }), 'degraded', /marked stale/)
  match(t, verdict({ ...down, leaseAgeMs: 63_000 }), 'degraded', /connection refused/)
  match(t, verdict({ ...down, leaseAgeMs: 63_001 }), 'unready', /a grace of 60000 ms: connection refused/)
  match(t, verdict({ ...down, leaseAgeMs: 3_001 }, { graceMs: 0 }), 'unready', /a grace of 0 ms/)
})

const idle = { feed: 'idle', feedReason: 'idle until the next request' } as const

t.test('an idle sidecar is ready, however old its last proof', async (t) => {
  match(t, verdict({ ...idle, leaseAgeMs: 10 }), 'idle')
  match(t, verdict({ ...idle, leaseAgeMs: 1e9 }, { graceMs: 0 }), 'idle')
  match(t, verdict({ ...idle, leaseAgeMs: 1e9, pendingWrites: 1 }), 'degraded', /^1 pending write is not/)
})

t.test('after an idle phase the grace period begins with the request that woke the feed', async (t) => {
  const woken = { leaseAgeMs: 1e9, neededForMs: 20 }
  match(t, verdict({ ...woken, feed: 'catching-up' }), 'degraded', /reads go to the database/)
  match(t, verdict({ ...woken, ...down }, { graceMs: 0 }), 'degraded', /connection refused/)
  match(t, verdict({ ...woken, ...down, neededForMs: 63_001 }), 'unready', /connection refused/)
})

t.test('a lease that ran out with a live feed counts the same', async (t) => {
  match(t, verdict({ leaseAgeMs: 3_001 }), 'degraded', /3001 ms old.*: live/)
})

t.test('degraded while writes are pending', async (t) => {
  match(t, verdict({ pendingWrites: 2 }), 'degraded', /^2 pending writes are not in the database yet$/)
})

t.test(
  'an obstacle of the pending writes, and statements that fail, are explained in public words',
  async (t) => {
    const pending = { pendingWrites: 2, pendingWritesObstacle: 'row-locked' } as const
    match(t, verdict(pending), 'degraded', /not in the database yet: The entry is locked in the database$/)
    const faults = (['read', 'write', 'remove'] as const).map((operation) => ({
      operation,
      code: 'queue-full' as const,
    }))
    const full = 'The database cannot announce changes: its notification queue is full'
    const said = ['reads', 'writes', 'deletes'].map((words) => `${words} fail: ${full}`).join('; ')
    match(t, verdict({ faults }), 'degraded', new RegExp(`^${said}$`))
  },
)

t.test('each reason has the cause by which its cure is found', async (t) => {
  const causes = ({ reasons }: Readiness) => reasons.map(({ cause }) => cause)
  const unproven = { leaseAgeMs: Number.POSITIVE_INFINITY }
  for (const [phase, status, cause] of [
    ['starting', {}, 'starting'],
    ['stopping', {}, 'stopping'],
    ['warming', {}, 'warming'],
    ['serving', unproven, 'never-live'],
    ['serving', { feed: 'catching-up' }, 'feed-catching-up'],
    ['serving', { feed: 'catching-up', leaseAgeMs: 3_001 }, 'feed-catching-up'],
    ['serving', { feed: 'catching-up', leaseAgeMs: 63_001 }, 'feed-catching-up'],
    ['serving', { ...down, leaseAgeMs: 2_000 }, 'feed-down'],
    ['serving', { ...down, leaseAgeMs: 63_001 }, 'feed-down'],
    ['serving', { faults: [{ operation: 'read', code: 'store-busy' }] }, 'statements-fail'],
    ['serving', { pendingWrites: 1 }, 'pending-writes'],
    ['serving', { bindings: { usable: 0, unusable: [{ pattern: 'p', reason: 'r' }] } }, 'bindings-unusable'],
  ] as readonly (readonly [Phase, Partial<CacheStatus>, Cause])[])
    t.strictSame(causes(readiness(phase, { ...live, ...status }, rules)), [cause])
})

t.test('unready while memory is warmed, after the first catch-up', async (t) => {
  match(t, readiness('warming', live, rules), 'unready', /^the cache is warming up$/)
  const waiting = { ...live, ...down, leaseAgeMs: Number.POSITIVE_INFINITY }
  match(t, readiness('warming', waiting, rules), 'unready', /not caught up/)
})

t.test('unready before serving and while stopping', async (t) => {
  match(t, readiness('starting', live, rules), 'unready', /not open yet/)
  match(t, readiness('stopping', live, rules), 'unready', /shutting down/)
})
