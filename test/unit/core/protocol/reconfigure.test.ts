import t from 'tap'
import { liveSidecar, maxStalenessMs, ttlMs } from '../../../support/model-sidecar.js'

const wide = { capacity: 1_000, maxBytes: undefined, negativeCapacity: 100, ttlMs }
const narrow = { capacity: 3, maxBytes: undefined, negativeCapacity: 100, ttlMs }

t.test('after a reconfiguration entries are still hits, and changes still drop them', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  for (const key of ['a', 'b', 'c', 'd']) await cache.set(key, '1')
  cache.reconfigure(narrow)
  t.equal(cache.status().size, 3)
  t.equal(cache.hit('a'), undefined, 'the one that was not used for longest has gone')
  t.equal(cache.hit('d')?.value, '1')
  store.setBySql('d', '2')
  feed.deliver()
  t.equal(cache.hit('d'), undefined)
  t.match(await cache.get('d'), { value: '2', stored: true })
  cache.reconfigure(wide)
  store.setBySql('d', '3')
  feed.deliver()
  t.equal(cache.hit('d'), undefined)
})

t.test(
  'P3: a fill or write in flight hears of changes from before and after a reconfiguration',
  async (t) => {
    for (const order of ['before', 'after'] as const) {
      const { store, feed, cache } = await liveSidecar()
      store.setBySql('k', '1')
      const answer = store.hold('read', 'after')
      const fill = cache.get('k')
      await answer.reached
      if (order === 'after') cache.reconfigure(wide)
      store.setBySql('k', '2')
      feed.deliver()
      if (order === 'before') cache.reconfigure(narrow)
      answer.open()
      t.match(await fill, { value: '1', stored: false }, order)
      t.equal(cache.hit('k'), undefined, order)
    }
  },
)

t.test('P7: a reconfiguration neither renews nor ends the lease', async (t) => {
  const { clock, cache } = await liveSidecar()
  await cache.set('k', '1')
  clock.advance(maxStalenessMs)
  cache.reconfigure(wide)
  t.ok(cache.hit('k'))
  clock.advance(1)
  t.notOk(cache.hit('k'))
})

t.test('P6: a comparison in progress during a reconfiguration drops what differs', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  await cache.set('same', '1')
  await cache.set('other', '1')
  feed.lose()
  store.setBySql('other', '2')
  const comparing = store.hold('versions', 'after')
  const connected = feed.connect()
  await comparing.reached
  cache.reconfigure(narrow)
  comparing.open()
  await connected
  t.equal(cache.hit('same')?.value, '1')
  t.equal(cache.hit('other'), undefined)
})

t.test('P9: pending writes stay; the new capacity applies to later ones', async (t) => {
  const { store, cache } = await liveSidecar()
  store.stop()
  for (const key of ['a', 'b', 'c', 'd']) await cache.set(key, '1')
  cache.reconfigure(narrow)
  t.equal(cache.status().pendingWrites, 4)
  await t.rejects(cache.set('e', '1'), { code: 'store-unavailable' })
  t.match(await cache.set('a', '2'), { written: false }, 'in the place of one that is kept')
  cache.reconfigure(wide)
  t.match(await cache.set('e', '1'), { written: false })
})
