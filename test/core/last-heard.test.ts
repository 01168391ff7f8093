import t from 'tap'
import { LastHeard } from '../../src/core/last-heard.js'

t.test('before the first contact no row can be told from a new one', async (t) => {
  const lastHeard = new LastHeard()
  t.equal(lastHeard.epoch, undefined)
  lastHeard.version('7')
  t.same(lastHeard.unseen, { kind: 'unseen', latest: -1n })
})

t.test('the highest version heard of counts, and not the last', async (t) => {
  const lastHeard = new LastHeard()
  t.equal(lastHeard.position({ epoch: 'a', latest: 10n }), true)
  lastHeard.version('9')
  t.same(lastHeard.unseen, { kind: 'unseen', latest: 10n })
  lastHeard.version('9007199254740993')
  lastHeard.version('9007199254740992')
  t.same(lastHeard.unseen, { kind: 'unseen', latest: 9007199254740993n }, 'as numbers, exactly')
  t.equal(lastHeard.position({ epoch: 'a', latest: 11n }), false)
  t.same(lastHeard.unseen, { kind: 'unseen', latest: 9007199254740993n })
})

t.test('another history begins where it says, though that is lower', async (t) => {
  const lastHeard = new LastHeard()
  lastHeard.position({ epoch: 'a', latest: 10n })
  t.equal(lastHeard.position({ epoch: 'b', latest: 4n }), true)
  t.equal(lastHeard.epoch, 'b')
  t.same(lastHeard.unseen, { kind: 'unseen', latest: 4n })
})
