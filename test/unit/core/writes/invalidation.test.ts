import t from 'tap'
import { liveSidecar, maxStalenessMs } from '../../../support/model-sidecar.js'
import { turn } from '../../../support/turn.js'

const nothing = { keys: [], groups: [], prefix: undefined, all: false }

t.test('what is removed is not in memory any more, and a fill in flight does not put it back', async (t) => {
  for (const maxNamed of [Number.POSITIVE_INFINITY, 0]) {
    const { cache, store } = await liveSidecar()
    store.maxNamed = maxNamed
    store.setBySql('a:1', '"old"')
    store.setBySql('a:2', '"old"')
    store.setBySql('b', '"stays"')
    for (const key of ['a:1', 'b']) await cache.get(key)
    const read = store.hold('read', 'after')
    const reading = cache.get('a:2')
    await read.reached
    t.equal(await cache.invalidate({ ...nothing, prefix: 'a:' }), 2)
    read.open()
    await reading
    t.equal(cache.hit('a:1'), undefined)
    t.equal(cache.hit('a:2'), undefined)
    t.equal(cache.hit('b') === undefined, maxNamed === 0, 'others are dropped only if too many were removed')
  }
})

t.test('an outcome that is unknown counts as removed', async (t) => {
  for (const selection of [{ keys: ['k'] }, { groups: ['g'] }, { prefix: 'k' }, { all: true }]) {
    const { cache, store } = await liveSidecar()
    store.setBySql('k', '"old"')
    await cache.get('k')
    store.fail('remove', 'outcome-unknown', 'after')
    await t.rejects(cache.invalidate({ ...nothing, ...selection }), { code: 'outcome-unknown' })
    t.equal(cache.hit('k'), undefined)
  }
})

t.test('nothing is kept during an outage', async (t) => {
  const { cache, store, feed, clock } = await liveSidecar()
  store.setBySql('k', '"held"')
  await cache.get('k')
  store.stop()
  feed.lose()
  clock.advance(maxStalenessMs + 1)
  await t.rejects(cache.invalidate({ ...nothing, keys: ['k'] }), { code: 'store-unavailable' })
  t.match(await cache.get('k'), { value: '"held"', stale: 'unproven' })
  store.restart()
  await feed.connect()
  t.equal(store.valueOf('k'), '"held"')
})

t.test('a pending write that is older is sent before, or never', async (t) => {
  const selections = [{ keys: ['k:1'] }, { groups: ['g'] }, { prefix: 'k:' }, { all: true }]
  for (const isLocked of [false, true]) {
    for (const selection of selections) {
      const { cache, store } = await liveSidecar()
      store.fail('write', 'store-unavailable')
      t.match(await cache.set('k:1', '"pending"', { groups: ['g'] }), { written: false })
      if (isLocked) store.fail('settle', 'row-locked')
      await cache.invalidate({ ...nothing, ...selection })
      t.equal(cache.status().pendingWrites, 0)
      t.equal(store.valueOf('k:1'), undefined)
      t.match(await cache.get('k:1'), { value: undefined })
    }
  }
})

t.test('a pending write of something else stays', async (t) => {
  const { cache, store } = await liveSidecar()
  store.fail('write', 'store-unavailable')
  await cache.set('other', '"pending"', { groups: ['h'] })
  store.fail('settle', 'row-locked')
  await cache.invalidate({ ...nothing, keys: ['k'], groups: [], prefix: 'k' })
  t.equal(cache.status().pendingWrites, 1)
})

t.test('a pending write in flight is settled before', async (t) => {
  const { cache, store } = await liveSidecar()
  store.fail('write', 'store-unavailable')
  await cache.set('k', '"pending"')
  const settling = store.hold('settle')
  await cache.get('another')
  await settling.reached
  const removing = cache.invalidate({ ...nothing, keys: ['k'] })
  await turn()
  settling.open()
  t.equal(await removing, 1)
  t.equal(store.valueOf('k'), undefined)
})
