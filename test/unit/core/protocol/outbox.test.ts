/** P17: keys whose changes are announced through the outbox have a lease of their own. */
import t from 'tap'
import { Lease } from '../../../../src/core/state/lease.js'
import { liveSidecar, maxStalenessMs } from '../../../support/model-sidecar.js'

const boundMs = 3_000

function liveLease(): Lease {
  const lease = new Lease(boundMs)
  lease.listening(1_000)
  lease.compared(lease.comparing())
  return lease
}

t.test('only a drain renews the lease of the outbox', async (t) => {
  const lease = liveLease()
  t.ok(lease.outboxHolds(1_000 + boundMs), 'a comparison proves it as well')
  lease.proven(2_000)
  t.notOk(lease.outboxHolds(1_001 + boundMs), 'a probe without a drain does not')
  t.ok(lease.holds(2_000 + boundMs))
  lease.proven(3_000, 2_900)
  t.ok(lease.outboxHolds(2_900 + boundMs), 'from the moment at which the drain was sent')
  t.notOk(lease.outboxHolds(2_901 + boundMs))
  lease.proven(4_000, 2_500)
  t.equal(lease.outboxAgeMs(4_000), 1_100, 'an older drain takes nothing back')
})

t.test('during a doubt, a drain counts only once everything has been compared', async (t) => {
  const lease = liveLease()
  lease.doubt()
  lease.proven(4_000, 3_900)
  lease.proven(4_100, 3_800)
  lease.proven(4_200)
  t.equal(lease.outboxAgeMs(4_000), 3_000)
  lease.compared(lease.comparing())
  t.equal(lease.outboxAgeMs(4_000), 100)
})

t.test('a doubt takes nothing back that was proven before', async (t) => {
  const lease = liveLease()
  lease.proven(2_000, 1_900)
  lease.doubt()
  lease.compared(lease.comparing())
  t.equal(lease.outboxAgeMs(2_000), 100)
  t.equal(lease.ageMs(2_000), 0)
})

t.test('a comparison that began before a doubt proves what was known when it began', async (t) => {
  const lease = liveLease()
  lease.doubt()
  lease.proven(2_000, 1_900)
  const comparison = lease.comparing()
  lease.proven(3_000, 2_900)
  lease.doubt()
  lease.compared(comparison)
  t.equal(lease.outboxAgeMs(3_000), 1_100)
})

t.test('after a loss, what was proven stays, and runs out', async (t) => {
  const lease = liveLease()
  lease.proven(2_000, 1_900)
  lease.lost()
  lease.proven(4_000, 3_900)
  t.ok(lease.outboxHolds(1_900 + boundMs))
  t.notOk(lease.outboxHolds(1_901 + boundMs))
})

t.test('without its lease, such a key is read from the store, and others are not', async (t) => {
  const { store, cache, clock, feed } = await liveSidecar()
  store.setBySql('plain', '1')
  store.setBySql('item:1', '1')
  store.isViaOutbox = (key) => key.startsWith('item:')
  const keys = ['plain', 'item:1', 'item:2']
  for (const key of keys) await cache.get(key)
  const held = () => keys.filter((key) => cache.recall(key, {}) !== undefined)
  t.same(held(), keys)
  clock.advance(maxStalenessMs)
  feed.probe()()
  clock.advance(1)
  t.same(held(), ['plain'], 'the entry and the absence need a drain')
  feed.probe(clock.now())()
  t.same(held(), keys)
})
