import t from 'tap'
import { DatabasePosition } from '../../../../src/core/state/database-position.js'

t.test('nothing is known before the first contact', async (t) => {
  const position = new DatabasePosition()
  t.equal(position.epoch, undefined)
  t.same(position.unseen, { kind: 'unseen', mark: undefined })
  t.ok(position.isPastMark)
  t.equal(position.observe({ epoch: 'a', latest: 10n }, position.latest), 'first')
  t.equal(position.epoch, 'a')
})

t.test('the highest version counts, not the last, compared exactly as numbers', async (t) => {
  const position = new DatabasePosition()
  position.observe({ epoch: 'a', latest: 10n }, -1n)
  position.version('9')
  t.equal(position.latest, 10n)
  position.version('9007199254740993')
  position.version('9007199254740992')
  t.equal(position.latest, 9007199254740993n)
})

t.test('an answer that was overtaken is accepted', async (t) => {
  const position = new DatabasePosition()
  position.observe({ epoch: 'a', latest: 7n }, -1n)
  const floor = position.latest
  position.version('8')
  t.equal(position.observe({ epoch: 'a', latest: 7n }, floor), 'onward')
  t.equal(position.latest, 8n)
})

t.test('a position below one from before the query is a rewind', async (t) => {
  const position = new DatabasePosition()
  position.observe({ epoch: 'a', latest: 10n }, -1n)
  position.marked('5', 10n)
  t.notOk(position.isPastMark)
  t.equal(position.observe({ epoch: 'a', latest: 9n }, position.latest), 'rewound')
  t.equal(position.latest, 9n)
  t.equal(position.mark, undefined, 'the mark belongs to what was undone')
})

t.test('another history begins at its own position, even if that is lower', async (t) => {
  const position = new DatabasePosition()
  position.observe({ epoch: 'a', latest: 10n }, -1n)
  position.marked('5', 10n)
  t.equal(position.observe({ epoch: 'b', latest: 4n }, position.latest), 'another-history')
  t.equal(position.epoch, 'b')
  t.equal(position.latest, 4n)
  t.same(position.unseen, { kind: 'unseen', mark: undefined })
})

t.test('a write after a mark is past the mark', async (t) => {
  const position = new DatabasePosition()
  position.observe({ epoch: 'a', latest: 10n }, -1n)
  position.marked('5', 10n)
  t.same(position.unseen, { kind: 'unseen', mark: '5' })
  position.version('11')
  t.ok(position.isPastMark)
})

t.test('a mark that the database lost is forgotten', async (t) => {
  const position = new DatabasePosition()
  position.observe({ epoch: 'a', latest: 10n }, -1n)
  position.marked('5', 10n)
  position.rewound()
  t.equal(position.mark, undefined)
  t.ok(position.isPastMark, 'another one is due')
  t.same(position.unseen, { kind: 'unseen', mark: undefined })
})
