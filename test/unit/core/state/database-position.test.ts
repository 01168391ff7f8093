import t from 'tap'
import { DatabasePosition } from '../../../../src/core/state/database-position.js'

t.test('before the first contact nothing is known', async (t) => {
  const position = new DatabasePosition()
  t.equal(position.epoch, undefined)
  t.same(position.unseen, { kind: 'unseen', mark: undefined })
  t.ok(position.isPastMark)
  t.equal(position.observe({ epoch: 'a', latest: 10n }, position.latest), 'first')
  t.equal(position.epoch, 'a')
})

t.test('the highest version counts, and not the last; as numbers, exactly', async (t) => {
  const position = new DatabasePosition()
  position.observe({ epoch: 'a', latest: 10n }, -1n)
  position.version('9')
  t.equal(position.latest, 10n)
  position.version('9007199254740993')
  position.version('9007199254740992')
  t.equal(position.latest, 9007199254740993n)
})

t.test('an answer that was overtaken is in order', async (t) => {
  const position = new DatabasePosition()
  position.observe({ epoch: 'a', latest: 7n }, -1n)
  const floor = position.latest
  position.version('8')
  t.equal(position.observe({ epoch: 'a', latest: 7n }, floor), 'onward')
  t.equal(position.latest, 8n)
})

t.test('a position below what was told before it was asked for is rewound', async (t) => {
  const position = new DatabasePosition()
  position.observe({ epoch: 'a', latest: 10n }, -1n)
  position.marked('5', 10n)
  t.notOk(position.isPastMark)
  t.equal(position.observe({ epoch: 'a', latest: 9n }, position.latest), 'rewound')
  t.equal(position.latest, 9n)
  t.equal(position.mark, undefined, 'the mark belongs to what was undone')
})

t.test('another history begins where it says, though that is lower', async (t) => {
  const position = new DatabasePosition()
  position.observe({ epoch: 'a', latest: 10n }, -1n)
  position.marked('5', 10n)
  t.equal(position.observe({ epoch: 'b', latest: 4n }, position.latest), 'another-history')
  t.equal(position.epoch, 'b')
  t.equal(position.latest, 4n)
  t.same(position.unseen, { kind: 'unseen', mark: undefined })
})

t.test('what is written after a mark is past it', async (t) => {
  const position = new DatabasePosition()
  position.observe({ epoch: 'a', latest: 10n }, -1n)
  position.marked('5', 10n)
  t.same(position.unseen, { kind: 'unseen', mark: '5' })
  position.version('11')
  t.ok(position.isPastMark)
})
