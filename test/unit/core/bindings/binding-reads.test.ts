import t from 'tap'
import { noBindings } from '../../../../src/core/bindings/bindings.js'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'
import { liveSidecar } from '../../../support/model-sidecar.js'

const ofItems = { pattern: new KeyPattern('item:{id}'), fingerprint: 'f', viaOutbox: false }
const bindings = { ...noBindings, of: (key: string) => (ofItems.pattern.covers(key) ? ofItems : undefined) }

t.test('the reads of a binding are counted, however memory answers them', async (t) => {
  const { store, cache } = await liveSidecar({}, { bindings })
  cache.bound([ofItems])
  store.setBySql('item:1', '1')
  const reads = () => ({ ...cache.readsOf('item:{id}') })
  t.strictSame(reads(), { hits: 0, misses: 0 })
  await cache.get('item:1')
  t.strictSame(reads(), { hits: 0, misses: 1 })
  await cache.get('item:1')
  cache.hit('item:1')
  t.strictSame(reads(), { hits: 2, misses: 1 })
  await cache.get('item:none')
  await cache.get('item:none')
  t.strictSame(reads(), { hits: 3, misses: 2 }, 'a key that does not exist')
  await cache.get('item:1', { strong: true })
  t.strictSame(reads(), { hits: 3, misses: 3 }, 'a strong read')
  await cache.getMany(['item:1', 'item:2'], {}, () => undefined)
  t.strictSame(reads(), { hits: 4, misses: 4 }, 'a request for many keys')
  await cache.get('other:1')
  await cache.get('other:1')
  t.strictSame(reads(), { hits: 4, misses: 4 }, 'a key that is not bound')
  const { stats } = cache.status()
  t.equal(stats.hits, 5)
})
