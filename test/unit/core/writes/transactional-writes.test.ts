import t from 'tap'
import { entryTag } from '../../../../src/core/state/entry-tag.js'
import { liveSidecar } from '../../../support/model-sidecar.js'
import { turn } from '../../../support/turn.js'

const put = (key: string, value: string, condition = {}) => ({ key, value, condition })

t.test('all are written and held, or nothing is', async (t) => {
  const { cache, store } = await liveSidecar()
  const version = store.setBySql('b', '"old"')
  t.match(
    await cache.writeAll([put('a', '1'), put('b', '2'), { key: 'c', value: undefined, condition: {} }]),
    {
      kind: 'written',
      results: [{ existed: false }, { existed: true }, { existed: false }],
    },
  )
  t.match(cache.hit('a'), { value: '1' })
  const { epoch } = store.now()
  const outdated = { match: [entryTag({ version, epoch })] }
  t.same(await cache.writeAll([put('a', '3'), put('b', '3', outdated)]), { kind: 'unmet', keys: ['b'] })
  t.equal(store.valueOf('a'), '1')
  t.match(cache.hit('a'), { value: '1' }, 'what was not written stays in memory')
})

t.test('a condition that does not hold drops what it was about', async (t) => {
  const { cache, store } = await liveSidecar()
  const version = store.setBySql('k', '"old"')
  await cache.get('k')
  store.setBySql('k', '"new"')
  const { epoch } = store.now()
  const result = await cache.writeAll([put('k', '1', { match: [entryTag({ version, epoch })] })])
  t.same(result, { kind: 'unmet', keys: ['k'] })
  t.equal(cache.hit('k'), undefined)
})

t.test('a pending write of a key is sent before', async (t) => {
  const { cache, store } = await liveSidecar()
  store.fail('write', 'store-unavailable')
  t.match(await cache.set('k', '"pending"'), { written: false })
  t.match(await cache.writeAll([put('k', '1', { noneMatch: '*' })]), { kind: 'unmet' })
  t.equal(store.valueOf('k'), '"pending"')
  store.fail('write', 'store-unavailable')
  await cache.set('k', '"again"')
  store.fail('settle', 'row-locked')
  await t.rejects(cache.writeAll([put('k', '1')]), { code: 'store-unavailable' })
})

t.test('nothing is kept during an outage, and an unknown outcome is remembered', async (t) => {
  const { cache, store } = await liveSidecar()
  store.setBySql('k', '"old"')
  await cache.get('k')
  store.fail('write', 'store-unavailable')
  await t.rejects(cache.writeAll([put('k', '1'), put('l', '1')]), { code: 'store-unavailable' })
  t.equal(cache.status().pendingWrites, 0)
  t.match(cache.hit('k'), { value: '"old"' })
  store.fail('write', 'outcome-unknown', 'after')
  await t.rejects(cache.writeAll([put('k', '1'), put('l', '1')]), { code: 'outcome-unknown' })
  t.equal(cache.hit('k'), undefined)
  t.equal(cache.status().stats.writesUnknown, 2)
})

t.test('a transaction that reaches the database has pending writes of other keys sent', async (t) => {
  const { clock, cache, store } = await liveSidecar()
  store.fail('write', 'store-unavailable')
  await cache.set('other', '"pending"')
  clock.advance(1_000)
  await cache.writeAll([put('k', '1')])
  await turn()
  t.equal(store.valueOf('other'), '"pending"')
})

t.test(
  'a row of an unknown outcome may have expired at the end of its time to live, not before',
  async (t) => {
    for (const [afterMs, kept] of [
      [1_000, '"kept"'],
      [999, undefined],
    ] as const) {
      const { clock, cache, store } = await liveSidecar()
      store.setBySql('k', '0')
      await cache.get('k')
      store.fail('write', 'outcome-unknown', 'after')
      await t.rejects(cache.writeAll([{ ...put('k', '1'), ttlMs: 1_000 }]), { code: 'outcome-unknown' })
      store.fail('write', 'store-unavailable')
      await cache.set('k', '"kept"')
      clock.advance(afterMs)
      store.deleteBySql('k')
      await cache.close()
      t.equal(store.valueOf('k'), kept, `after ${afterMs} ms`)
    }
  },
)
