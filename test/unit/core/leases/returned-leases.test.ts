/** Leases that are not needed, or not wanted any more. */
import t from 'tap'
import { noBindings } from '../../../../src/core/bindings/bindings.js'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'
import type { KeyWaits } from '../../../../src/core/changes/key-waits.js'
import { CacheError } from '../../../../src/core/errors.js'
import { FillContests } from '../../../../src/core/leases/fill-contests.js'
import { LeasedReads, type LeasedReadsParts } from '../../../../src/core/leases/leased-reads.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { turn } from '../../../support/turn.js'

const absent = { value: undefined, ageMs: 0 }
const unavailable = new CacheError('store-unavailable', 'no connection')

/** Reads of a key without a value, whose lease everybody gets. */
function leasedReads(more: Partial<Pick<LeasedReadsParts, 'bindings' | 'cache'>> = {}) {
  const calls: string[] = []
  const contests = new FillContests()
  const leases = {
    acquire: async () => {
      calls.push('acquire')
      return { kind: 'granted', lease: 'lease' } as const
    },
    release: async (key: string, lease: string) => {
      calls.push(`release ${key} ${lease}`)
    },
    giveBack: async (key: string, lease: string) => {
      calls.push(`give back ${key} ${lease}`)
    },
  }
  const reads = new LeasedReads({
    cache: { get: async () => absent },
    bindings: noBindings,
    contests,
    leases,
    waits: { leftMs: () => 0 } as unknown as KeyWaits,
    clock: new DrivenClock(),
    after: () => () => undefined,
    ...more,
  })
  const request = {
    durationMs: 10_000,
    groups: [],
    waitMs: 0,
    signal: new AbortController().signal,
    isGone: () => false,
  }
  return { calls, contests, leases, reads, get: (more = {}) => reads.get('k', {}, { ...request, ...more }) }
}

t.test('a lease whose holder cannot be told that there is no value is given back', async (t) => {
  const get = async (_key: string, { strong = false } = {}) => {
    if (strong) throw unavailable
    return absent
  }
  const { calls, contests, get: read } = leasedReads({ cache: { get } })
  const contest = contests.enter('k')
  await t.rejects(read(), unavailable)
  t.strictSame(calls, ['acquire', 'release k lease'])
  await turn()
  t.equal(contest.changes, 1, 'and those who wait ask for it')
  t.equal(contests.granted, 0)
})

t.test('a lease that cannot be given back ends by itself', async (t) => {
  const { contests, leases, get } = leasedReads()
  leases.release = () => Promise.reject(unavailable)
  const contest = contests.enter('k')
  t.match(await get({ isGone: () => true }), { kind: 'vain', retryAfterMs: 0, isBlocked: false })
  await turn()
  t.equal(contest.changes, 0)
})

t.test('a caller that computes no value ends its lease', async (t) => {
  const { calls, reads } = leasedReads()
  await reads.giveBack('k', 'lease')
  t.strictSame(calls, ['give back k lease'])
})

t.test('nobody gets the lease of a bound key, whose value nobody computes', async (t) => {
  const binding = { pattern: new KeyPattern('k'), fingerprint: 'f', viaOutbox: false }
  const { calls, get } = leasedReads({ bindings: { ...noBindings, of: () => binding } })
  t.strictSame(await get(), { kind: 'found', read: absent })
  t.strictSame(calls, [])
})
