import t from 'tap'
import { Stats } from '../../../src/core/stats.js'

t.test('the keys of each kind of statement are counted in buckets of their own', async (t) => {
  const { batchKeys } = new Stats()
  const bounds = [1, 2, 5, 10, 20, 50, 100, 200, 500]
  for (const operation of ['read', 'write', 'remove'] as const)
    t.strictSame(batchKeys[operation].bounds, bounds, operation)
  batchKeys.read.observe(1)
  batchKeys.write.observe(2)
  batchKeys.write.observe(3)
  t.strictSame([batchKeys.read.sum, batchKeys.write.sum, batchKeys.remove.sum], [1, 5, 0])
})
