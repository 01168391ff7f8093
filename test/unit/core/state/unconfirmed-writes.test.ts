import t from 'tap'
import { UnconfirmedWrites } from '../../../../src/core/state/unconfirmed-writes.js'

t.test('a write is unconfirmed until its change arrives', async (t) => {
  const writes = new UnconfirmedWrites()
  t.equal(writes.anyBefore(Number.POSITIVE_INFINITY), false)
  writes.acknowledged('k', '7', 100)
  writes.acknowledged('k', '8', 200)
  t.equal(writes.anyBefore(100), false, 'a probe sent at this moment need not come after the change')
  t.equal(writes.anyBefore(101), true)
  writes.confirmed('k', '6')
  writes.confirmed('j', '7')
  t.equal(writes.anyBefore(101), true, 'other changes do not count')
  writes.confirmed('k', '7')
  t.equal(writes.anyBefore(200), false)
  t.equal(writes.anyBefore(201), true, 'the next one')
  writes.clear()
  t.equal(writes.anyBefore(201), false)
})
