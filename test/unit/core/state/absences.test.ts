import t from 'tap'
import { liveSidecar } from '../../../support/model-sidecar.js'

t.test('a hit never shortens the sliding time to live of an absence, whatever the jitter', async (t) => {
  const draws = [0, 1]
  const random = () => draws.shift() ?? 1
  const { cache } = await liveSidecar({ ttlMs: 1_000, ttlMode: 'sliding', ttlJitter: 0.5 }, { random })
  await cache.get('k')
  t.match(cache.recall('k'), { value: undefined, ttlMs: 1_000 })
  t.match(cache.recall('k'), { value: undefined, ttlMs: 1_000 })
})

t.test('an absent key that is not ASCII takes two bytes a character', async (t) => {
  const { cache } = await liveSidecar()
  await cache.get('k')
  t.equal(cache.status().negativeBytes, 1)
  await cache.get('€')
  t.equal(cache.status().negativeBytes, 1 + 2)
})
