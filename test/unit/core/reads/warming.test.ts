/** Entries read before anybody asks for them: fills like any other, and out of everybody's way. */
import t, { type Test } from 'tap'
import type { WarmingParts } from '../../../../src/core/reads/warming.js'
import { warm } from '../../../../src/core/reads/warming.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { liveSidecar, type ModelSidecar, ttlMs } from '../../../support/model-sidecar.js'
import { plain } from '../../../support/plain.js'
import { turn } from '../../../support/turn.js'

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `k${index + 1}`)

/** A sidecar with k1, k2, ... in its database, and what it takes to warm it. */
async function withEntries(count: number, options: Parameters<typeof liveSidecar>[0] = {}) {
  const sidecar = await liveSidecar({ capacity: 1_000, ...options })
  sidecar.store.setManyBySql(Object.fromEntries(numbered(count).map((key) => [key, `"of ${key}"`])))
  sidecar.feed.deliver()
  await turn()
  const stop = new AbortController()
  const parts = { ...sidecar, capacity: () => options.capacity ?? 1_000, stop: stop.signal }
  return { ...sidecar, stop, warm: (keys: readonly string[]) => warm(keys, parts) }
}

const reads = ({ store }: Pick<ModelSidecar, 'store'>) =>
  store.statements.filter(({ operation }) => operation === 'read')

t.test('a warmed key is a hit, and warming counts as neither hit nor miss', async (t) => {
  const sidecar = await withEntries(3)
  t.same(await sidecar.warm(numbered(3)), { put: 3, asked: 3, ended: undefined })
  t.match(sidecar.cache.status().stats, { warmed: 3, hits: 0, missesAbsent: 0, coalesced: 0 })
  t.same(plain(await sidecar.cache.get('k2')), { value: '"of k2"', source: 'cache', stale: false })
  t.equal(reads(sidecar).length, 1, 'one statement')
})

t.test('a change during a warming fill keeps the value out of memory (P3)', async (t) => {
  const { store, feed, cache, warm } = await withEntries(2)
  const held = store.hold('read', 'after')
  const warmed = warm(['k1', 'k2'])
  await held.reached
  store.setBySql('k1', '"new"')
  feed.deliver()
  held.open()
  t.match(await warmed, { put: 1, asked: 2 })
  t.equal(cache.hit('k1'), undefined)
  t.match(cache.hit('k2'), { value: '"of k2"' })
})

t.test('a warmed entry has the usual time to live', async (t) => {
  const { clock, feed, cache, warm } = await withEntries(2, { ttlRules: [{ prefix: 'k2', ttlMs: 1_000 }] })
  await warm(['k1', 'k2'])
  const later = (ms: number) => {
    clock.advance(ms)
    feed.probe()()
    return [cache.hit('k1') !== undefined, cache.hit('k2') !== undefined]
  }
  t.same(later(999), [true, true])
  t.same(later(1), [true, false])
  t.same(later(ttlMs - 1_000), [false, false])
})

t.test('missing, invalid and refused keys leave nothing behind', async (t) => {
  const sidecar = await withEntries(2)
  const keys = ['absent', '', 'a\0b', 'x'.repeat(1_025), 'k1', 'k2']
  t.same(await sidecar.warm(keys), { put: 2, asked: 6, ended: undefined })
  t.equal(sidecar.cache.status().size, 2)
  t.same(
    reads(sidecar).map((statement) => statement.keys),
    [['absent', 'k1', 'k2']],
    'what is no key is not asked for',
  )
  sidecar.store.fail('read', 'refused')
  t.same(await sidecar.warm(['bad']), { put: 0, asked: 1, ended: undefined })
  sidecar.store.fail('read', 'too-large')
  t.same(await sidecar.warm(['large']), { put: 0, asked: 1, ended: undefined })
  sidecar.store.fail('read', 'binding-unusable')
  t.same(await sidecar.warm(['bound']), { put: 0, asked: 1, ended: undefined })
  const before = reads(sidecar).length
  await sidecar.cache.get('absent')
  t.equal(reads(sidecar).length, before + 1, 'the next reader of what is absent asks')
})

t.test('warming stops at the capacity, evicts nothing, and the first keys are evicted last', async (t) => {
  const { store, cache, warm } = await withEntries(9, { capacity: 4 })
  await cache.get('k9')
  t.same(await warm(numbered(8)), { put: 3, asked: 3, ended: { kind: 'full' } })
  t.equal(cache.status().stats.evictions, 0)
  t.same(await cache.heldKeys(), ['k1', 'k2', 'k3', 'k9'])
  for (const key of ['x', 'y', 'z']) {
    store.setBySql(key, '1')
    await cache.get(key)
  }
  t.ok(cache.hit('k1'), 'three others later the most wanted is still there')
})

t.test('warming stops at the limit in bytes', async (t) => {
  const { cache, warm } = await withEntries(200, { maxBytes: 300 })
  t.match(await warm(numbered(200)), { ended: { kind: 'full' } })
  t.ok(cache.status().stats.evictions < 32, 'of one statement at most')
})

t.test('a reader has a statement to itself and joins the fill of a key that is being warmed', async (t) => {
  const { store, cache, warm } = await withEntries(300)
  const held = store.hold('read')
  const warmed = warm(numbered(200))
  await held.reached
  t.equal((await cache.get('k300')).value, '"of k300"', 'while that of the warm-up hangs')
  const joined = cache.get('k1')
  await turn()
  t.equal(reads({ store }).length, 2, 'one for all that is warmed, one for the reader')
  held.open()
  t.match(await joined, { value: '"of k1"', collapsed: true })
  t.match(await warmed, { put: 200 })
  t.ok(Math.max(...store.statements.map(({ keys }) => keys.length)) <= 250)
})

t.test('a key that is being read or has been read is not warmed', async (t) => {
  const sidecar = await withEntries(2)
  const { store, cache } = sidecar
  await cache.get('k1')
  const held = store.hold('read')
  const reader = cache.get('k2')
  await held.reached
  t.same(await sidecar.warm(['k1', 'k2']), { put: 0, asked: 2, ended: undefined })
  held.open()
  await reader
  t.equal(reads(sidecar).length, 2)
  t.match(cache.status().stats, { warmed: 0, coalesced: 0 })
})

t.test('warming that is stopped does not wait for the statement in flight', async (t) => {
  const { store, stop, cache, warm } = await withEntries(2)
  const held = store.hold('read')
  const warmed = warm(['k1', 'k2'])
  await held.reached
  stop.abort()
  t.same(await warmed, { put: 0, asked: 0, ended: { kind: 'stopped' } })
  held.open()
  await turn()
  t.ok(cache.hit('k1'), 'whose answer is worth as much as before')
  t.same((await warm(['k2'])).ended, { kind: 'stopped' })
})

t.test('warming ends if the store is unavailable or the feed is lost', async (t) => {
  const { store, feed, warm } = await withEntries(2)
  store.fail('read', 'store-unavailable')
  t.same(await warm(['k1']), { put: 0, asked: 1, ended: { kind: 'failed', reason: 'the test says so' } })
  feed.lose()
  const reason = 'the change feed was lost'
  t.same(await warm(['k1']), { put: 0, asked: 0, ended: { kind: 'failed', reason } })
})

t.test('a slow store gets fewer keys at once and a fast one more, within limits', async (t) => {
  t.same(await sizes(t, 1, 1_000), [32, 64, 128, 250, 250, 250, 26])
  t.same((await sizes(t, 100, 50)).slice(0, 4), [32, 8, 2, 1])
  t.same(await sizes(t, 0, 400), [32, 64, 128, 176], 'faster than the clock shows')
})

/** Returns the number of keys of each statement if a statement takes this long. */
async function sizes(t: Test, statementMs: number, keys: number): Promise<number[]> {
  const clock = new DrivenClock()
  const found: number[] = []
  let inStatement = 0
  const cache = {
    warm: async () => {
      if (inStatement++ === 0) {
        clock.defer(() => {
          found.push(inStatement)
          inStatement = 0
          clock.advance(statementMs)
        })
      }
      return true
    },
    touch: () => {},
    status: () => ({ size: 0, feed: 'live', stats: { evictions: 0 } }),
  } as unknown as WarmingParts['cache']
  const { put } = await warm(numbered(keys), {
    cache,
    clock,
    capacity: () => 1_000,
    stop: new AbortController().signal,
  })
  t.equal(put, keys)
  return found
}
