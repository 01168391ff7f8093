import t from 'tap'
import { Histogram } from '../../../src/core/histogram.js'

t.test('each bucket counts all values up to its bound', async (t) => {
  const histogram = new Histogram([1, 2.5, 10])
  t.same([histogram.cumulative(), histogram.sum], [[0, 0, 0, 0], 0])
  for (const value of [0, 1, 1.01, 2.5, 10, 10.01, 1_000]) histogram.observe(value)
  t.same(histogram.cumulative(), [2, 4, 5, 7])
  t.equal(histogram.sum, 1_024.52)
})
