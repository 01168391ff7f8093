import t from 'tap'
import { noBindings } from '../../../../src/core/bindings/bindings.js'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'
import { liveSidecar, maxStalenessMs } from '../../../support/model-sidecar.js'

const isKept = (origin: object | undefined) => origin !== undefined

t.test('P19: answers that are held here can be kept: hits, fills and absences', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  const { following } = cache
  store.setBySql('k', '1')
  feed.deliver()
  t.ok(following.originOf('k', await cache.get('k')), 'a fill')
  t.ok(following.originOf('k', await cache.get('k')), 'a hit')
  t.ok(following.originOf('none', await cache.get('none')), 'an absence')
  t.ok(following.originOf('none', await cache.get('none')), 'a hit of it')
  t.ok(following.originOf('k', await cache.get('k', { strong: true })), 'a strong read')
})

t.test('P19: the answer of a fill that began before LISTEN was in force cannot be kept', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  store.setBySql('k', '1')
  feed.deliver()
  feed.lose()
  const answer = store.hold('read', 'after')
  const first = cache.get('k')
  await answer.reached
  store.setBySql('k', '2')
  await feed.connect()
  const { generation } = cache.following.changeLog

  const joined = cache.get('k')
  answer.open()
  await first
  const read = await joined
  t.match(read, { value: '1', collapsed: true }, 'it is not too old for the reader')
  t.equal(cache.following.changeLog.generation, generation, 'no gap would follow')
  t.notOk(isKept(cache.following.originOf('k', read)))
})

t.test('P19: a value that is served as stale, or is a pending write, cannot be kept', async (t) => {
  const { clock, store, feed, cache } = await liveSidecar()
  store.setBySql('k', '1')
  feed.deliver()
  await cache.get('k')
  feed.lose()
  store.stop()
  clock.advance(maxStalenessMs + 1)
  const unproven = await cache.get('k')
  t.match(unproven, { value: '1', stale: 'unproven' })
  t.notOk(isKept(cache.following.originOf('k', unproven)))
  await cache.set('k', '2')
  const kept = await cache.get('k')
  t.match(kept, { value: '2', stale: 'kept' })
  t.notOk(isKept(cache.following.originOf('k', kept)))
})

t.test('P19: changes are logged as they are applied, and a comparison ends with a gap', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  const { changeLog } = cache.following
  const before = changeLog.last
  const version = store.setBySql('k', '1')
  t.same(changeLog.since(before), [], 'not yet')
  feed.deliver()
  t.match(changeLog.since(before), [{ id: 'k', version }])

  const { generation } = changeLog
  feed.lose()
  t.equal(changeLog.generation, generation, 'a loss is not a gap: the lease still holds')
  await feed.connect()
  t.equal(changeLog.generation, generation + 1)
})

t.test('P19: the ages are those of the leases', async (t) => {
  const { clock, feed, cache } = await liveSidecar()
  clock.advance(100)
  t.strictSame(cache.following.leaseAges(), { ageMs: 100, outboxAgeMs: 100 })
  feed.probe()()
  t.strictSame(cache.following.leaseAges(), { ageMs: 0, outboxAgeMs: 100 }, 'without a drain of the outbox')
})

t.test('P19: an answer needs the lease of the outbox if its binding is announced through it', async (t) => {
  const bound = (text: string, viaOutbox: boolean) => ({
    pattern: new KeyPattern(text),
    fingerprint: 'f',
    viaOutbox,
  })
  const all = [bound('item:{id}', true), bound('user:{id}', false)]
  const bindings = { ...noBindings, of: (key: string) => all.find(({ pattern }) => pattern.covers(key)) }
  const { cache } = await liveSidecar({}, { bindings })
  for (const [key, viaOutbox] of [
    ['item:1', true],
    ['user:1', false],
    ['k', false],
  ] as const)
    t.strictSame(cache.following.originOf(key, await cache.get(key)), { viaOutbox }, key)
})

t.test("P19: a jump of the database's clock is a gap, because absences are dropped", async (t) => {
  const { store, feed, cache } = await liveSidecar()
  feed.probe()()
  const { generation } = cache.following.changeLog
  feed.probe()()
  t.equal(cache.following.changeLog.generation, generation)
  store.putClockForward(-10_000)
  feed.probe()()
  t.equal(cache.following.changeLog.generation, generation + 1)
})
