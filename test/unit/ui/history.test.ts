import t from 'tap'
import { History } from '../../../ui/charts/history.js'

const columns = ['time', 'hits', 'absent', 'expired', 'unproven', 'requested', 'requests'] as const
const row = (time: number, hits: number | null, misses = 0) => [time, hits, misses, 0, 0, 0, 10]

t.test('samples of more than 15 minutes ago are dropped', async (t) => {
  const history = new History(columns, [row(0, 1), row(100, 2)])
  history.push(row(901, 3))
  t.strictSame(history.column('time'), [100, 901])
  t.strictSame(history.window(), [1, 901])
})

t.test('the hit ratio is that of all reads, and unknown without any', async (t) => {
  const history = new History(columns, [row(1, 30, 10), row(2, 0, 0)])
  t.equal(history.hitRatio(), 0.75)
  t.equal(history.hitRatio(1), undefined)
  history.push(row(3, 5))
  t.equal(history.hitRatio(1), 1)
})

t.test('a mean leaves out what is not known', async (t) => {
  const history = new History(columns, [row(1, 10), row(2, null), row(3, 20)])
  t.equal(history.mean('hits', 3), 15)
  t.equal(history.mean('hits', 1), 20)
  t.equal(new History(columns, []).mean('hits', 5), undefined)
  t.equal(history.latest('time'), 3)
})

t.test('samples of a time that has not come yet are dropped: the clock was set back', async (t) => {
  const history = new History(columns, [row(4_000, 1), row(4_002, 2), row(400, 3), row(402, 4)])
  t.strictSame(history.column('time'), [400, 402])
  history.push(row(404, 5))
  history.push(row(401, 6))
  t.strictSame(history.column('hits'), [3, 6])
})
