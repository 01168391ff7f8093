import t from 'tap'
import { StoreHealth } from '../../../../src/core/batching/store-health.js'
import { ChangeLog } from '../../../../src/core/changes/change-log.js'
import type { Base } from '../../../../src/core/entry.js'
import { FeedLog } from '../../../../src/core/feed/feed-log.js'
import { Revalidation } from '../../../../src/core/feed/revalidation.js'
import type { Log } from '../../../../src/core/ports.js'
import { DatabasePosition } from '../../../../src/core/state/database-position.js'
import { Lease } from '../../../../src/core/state/lease.js'
import { LocalCache } from '../../../../src/core/state/local-cache.js'
import { NegativeEntries } from '../../../../src/core/state/negative-entries.js'
import { TtlPolicy } from '../../../../src/core/state/ttl-policy.js'
import { Stats } from '../../../../src/core/stats.js'
import { Delivery } from '../../../../src/core/writes/delivery.js'
import { PendingWrites } from '../../../../src/core/writes/pending-writes.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { ModelStore } from '../../../support/model-store.js'
import { recordingLog } from '../../../support/recording-log.js'

const epoch = '1-00000001'

/** Holds what the store holds, as it stands, and is listening. */
function revalidation(keys: readonly string[] = [], log?: Log) {
  const clock = new DrivenClock()
  const store = new ModelStore(clock)
  const recording = recordingLog()
  const stats = new Stats()
  const lease = new Lease(3_000)
  const position = new DatabasePosition()
  const local = new LocalCache({ capacity: 30_000, maxBytes: undefined, onEvict: () => t.fail() })
  const absences = new NegativeEntries(
    { negativeCapacity: 10 },
    { ttl: new TtlPolicy({ ttlMs: Number.POSITIVE_INFINITY }), clock, stats },
  )
  const parts = { store, clock, stats, log: log ?? recording.log }
  const pending = new PendingWrites({ capacity: 10, maxBytes: 1_000_000 })
  const delivery = new Delivery({
    ...parts,
    pending,
    state: { written: (id) => local.drop(id) },
    versions: store.now(),
    health: new StoreHealth(),
  })
  for (const key of keys) {
    const version = store.setBySql(key, '1')
    local.put(`id of ${key}`, {
      key,
      value: '1',
      mediaType: undefined,
      version,
      epoch,
      isComparable: true,
      viaOutbox: false,
      reads: undefined,
      asOfMs: 0,
      expiresAtMs: Number.POSITIVE_INFINITY,
      rowExpiresAtMs: Number.POSITIVE_INFINITY,
      bytes: 1,
    })
  }
  position.observe({ epoch, latest: BigInt(keys.length) }, -1n)
  lease.listening(0)
  const it = new Revalidation({
    ...parts,
    state: {
      entries: local,
      absences,
      forget: () => local.clear(),
    },
    lease,
    position,
    delivery,
    feedLog: new FeedLog(parts.clock, parts.log),
    changeLog: new ChangeLog(),
    pauseMs: 1_000,
  })
  const held = () => [...local.entries()].map(({ key }) => key)
  return { revalidation: it, store, stats, lease, position, local, pending, held, logged: recording.logged }
}

t.test('equal entries stay; changed and deleted ones are dropped', async (t) => {
  const { revalidation: it, store, stats, lease, held, logged } = revalidation(['a', 'b', 'c', 'd'])
  store.setBySql('b', '2')
  store.deleteBySql('c')
  await it.run()
  t.same(held().sort(), ['a', 'd'])
  t.match(stats, { revalidations: 1, revalidationDrops: 2, flushes: 0 })
  t.equal(lease.state, 'live')
  t.match(logged, [{ level: 'info', fields: { epoch, entries: 2 } }])
})

t.test('without entries, only the position is queried', async (t) => {
  const { revalidation: it, store, lease } = revalidation()
  await it.run()
  t.same(
    store.statements.map(({ operation }) => operation),
    ['position'],
  )
  t.equal(lease.state, 'live')
})

t.test('many entries are compared in several statements', async (t) => {
  const { revalidation: it, store, held } = revalidation(Array.from({ length: 2_500 }, (_, n) => `k${n}`))
  store.setBySql('k3', '2')
  store.setBySql('k2499', '2')
  await it.run()
  t.same(
    store.statements.filter(({ operation }) => operation === 'versions').map(({ keys }) => keys.length),
    [1_000, 1_000, 500],
  )
  t.equal(held().length, 2_498)
})

t.test('a doubt during a comparison ends it, and all entries are compared again', async (t) => {
  for (const operation of ['position', 'versions'] as const) {
    const { revalidation: it, store, stats, lease, held, logged } = revalidation(['a', 'b'])
    const answer = store.hold(operation, 'after')
    const running = it.run()
    await answer.reached
    store.setBySql('b', '2')
    lease.doubt()
    answer.open()
    await running
    t.equal(lease.state, 'catching-up', operation)
    t.same(logged, [], 'it is not live')
    t.equal(stats.revalidations, 1)
    await it.runIfNeeded()
    t.same(held(), ['a'])
    t.equal(lease.state, 'live')
    t.equal(stats.revalidations, 2)
    t.equal(it.runIfNeeded(), undefined)
  }
})

t.test('after a doubt between two statements, the first is compared again', async (t) => {
  const {
    revalidation: it,
    store,
    lease,
    held,
  } = revalidation(Array.from({ length: 10_001 }, (_, n) => `k${n}`))
  store.fail('versions', 'refused', 'before')
  await t.rejects(it.run(), { code: 'refused' })
  const compared = store.hold('versions', 'after')
  const running = it.run()
  await compared.reached
  const second = store.hold('versions', 'before')
  compared.open()
  await second.reached
  store.setBySql('k0', '2') // in the chunk that was compared already
  lease.doubt()
  second.open()
  await running
  t.equal(lease.state, 'catching-up')
  await it.runIfNeeded()
  t.notOk(held().includes('k0'))
  t.equal(lease.state, 'live')
})

t.test('a loss of the feed ends the comparison, and the feed is not live', async (t) => {
  const { revalidation: it, store, lease, logged } = revalidation(['a'])
  const answer = store.hold('versions', 'after')
  const running = it.run()
  await answer.reached
  lease.lost()
  answer.open()
  await running
  t.equal(lease.state, 'down')
  t.equal(it.runIfNeeded(), undefined)
  t.same(logged, [])
})

t.test('after a reconnect during a comparison, the next one is for the new session', async (t) => {
  const { revalidation: it, store, lease, held } = revalidation(['a', 'b'])
  const answer = store.hold('versions', 'after')
  const first = it.run()
  await answer.reached
  lease.lost()
  store.setBySql('b', '2')
  lease.listening(100)
  const second = it.run()
  answer.open()
  await Promise.all([first, second])
  t.same(held(), ['a'])
  t.equal(lease.state, 'live')
  t.equal(lease.ageMs(100), 0)
})

t.test(
  'calls share the comparison in progress and its failure; the next call starts a new one',
  async (t) => {
    const { revalidation: it, store, stats, lease } = revalidation(['a'])
    const asking = store.hold('versions')
    const [first, second] = [it.run(), it.run()]
    await asking.reached
    store.stop()
    asking.open()
    await t.rejects(first, { code: 'store-unavailable' })
    await t.rejects(second, { code: 'store-unavailable' })
    t.equal(lease.state, 'catching-up')
    store.restart()
    await it.run()
    t.equal(lease.state, 'live')
    t.equal(stats.revalidations, 2)
  },
)

t.test('a doubt right after the feed became live is not missed', async (t) => {
  let doubt: () => void = () => undefined
  const log: Log = { info: () => doubt(), warn: () => undefined }
  const { revalidation: it, store, lease, held } = revalidation(['a'], log)
  let again: Promise<void> | undefined
  doubt = () => {
    doubt = () => undefined
    store.setBySql('a', '2')
    lease.doubt()
    again = it.run()
  }
  await it.run()
  await again
  await it.runIfNeeded()
  t.equal(lease.state, 'live', 'live')
  t.same(held(), [], 'compared')
})

t.test('another history drops everything once, before any comparison', async (t) => {
  const { revalidation: it, store, stats, lease, position, held, logged } = revalidation(['a', 'b'])
  store.failOver('1-00000002', store.backup())
  await it.run()
  t.same(held(), [])
  t.notOk(store.statements.some(({ operation }) => operation === 'versions'))
  t.match(stats, { flushes: 1, revalidationDrops: 0 })
  t.match(logged[0], { level: 'warn', fields: { before: epoch, now: '1-00000002' } })
  t.equal(position.epoch, '1-00000002')
  lease.doubt()
  await it.run()
  t.equal(stats.flushes, 1)
})

t.test('pending writes are sent first, so that their changes are compared after them', async (t) => {
  const { revalidation: it, store, pending, held } = revalidation(['a', 'b'])
  const { fingerprint } = store.now()
  const base: Base = { kind: 'held', version: '1', value: undefined, fingerprint }
  pending.keep('id of a', { key: 'a', value: '2', base, epoch, mayHaveHappened: false, outcomes: [] })
  await it.run()
  t.equal(store.valueOf('a'), '2')
  t.same(held(), ['b'])
  t.same(store.statements.map(({ operation }) => operation).slice(-2), ['settle', 'versions'])
})
