import t from 'tap'
import { liveSidecar } from '../../support/model-sidecar.js'

t.test('what is held of a key can be dropped, an entry or its absence', async (t) => {
  const { cache } = await liveSidecar()
  await cache.set('k', '1')
  await cache.get('none')
  for (const key of ['k', 'none']) {
    t.equal(cache.drop(key), true, key)
    t.equal(cache.recall(key), undefined)
    t.equal(cache.drop(key), false, 'nothing is held any more')
  }
})

t.test('pending writes that cannot be sent at the end are logged', async (t) => {
  const { store, cache, logged } = await liveSidecar()
  await cache.close()
  t.notOk(logged.some(({ level }) => level === 'warn'))
  store.stop()
  await cache.set('k', '1')
  await cache.close()
  t.strictSame(logged.at(-1), {
    level: 'warn',
    fields: { pending: 1 },
    message: 'pending writes are lost with this process',
  })
})
