import t from 'tap'
import { SampleRing } from '../../../../src/http/ops/page/sample-ring.js'

t.test('the last samples are kept, oldest first', async (t) => {
  const ring = new SampleRing(2, 3)
  t.strictSame(ring.rows(), [])
  ring.push([1, null])
  t.strictSame(ring.rows(), [[1, null]])
  for (const number of [2, 3, 4]) ring.push([number, number * 10])
  t.strictSame(ring.rows(), [
    [2, 20],
    [3, 30],
    [4, 40],
  ])
})
