import t from 'tap'
import type { Figures, Row } from '../../../bench/comparison.js'
import { quantile, spreadOf } from '../../../bench/statistics.js'
import { fallsShort, outcomeOf } from '../../../bench/verdict.js'

const row: Row = { work: 'hit', figure: 'rate', unit: 'requests/s', of: 'sidecar', against: 'peer' }
const measure = async () => ({})
const contenders = [
  { name: 'sidecar', measure },
  { name: 'peer', measure },
]

function roundsOf(sidecar: readonly number[], peer: readonly number[], limit: readonly number[] = []) {
  const figures = (values: readonly number[]): Figures[] => values.map((rate) => ({ rate }))
  return new Map([
    ['sidecar', figures(sidecar)],
    ['peer', figures(peer)],
    ['limit', figures(limit)],
  ])
}

t.test('spread and quantiles', async (t) => {
  t.same(spreadOf([5, 1, 9]), { median: 5, min: 1, max: 9 })
  t.equal(spreadOf([1, 2, 3, 4]).median, 2.5)
  t.equal(quantile([0, 10], 0.99), 9.9)
  t.ok(Number.isNaN(quantile([], 0.5)))
})

t.test('the ratio is the median of the pairs, not the ratio of the medians', async (t) => {
  // The machine was three times as fast in the second round.
  const { ours, theirs, compared } = outcomeOf(row, roundsOf([10, 90, 40], [20, 30, 10]), contenders)
  t.same(compared, { median: 3, min: 0.5, max: 4 })
  t.equal(ours?.median, 40)
  t.equal(theirs?.median, 20)
})

t.test('a target is reached or missed', async (t) => {
  const verdict = (target: Row['target'], ours: number, theirs: number) =>
    outcomeOf({ ...row, ...(target && { target }) }, roundsOf([ours], [theirs]), contenders).verdict
  t.equal(verdict({ atLeast: 2 }, 20, 10), 'reached')
  t.equal(verdict({ atLeast: 2 }, 19.9, 10), 'short')
  t.equal(verdict({ atMost: 1.5 }, 15, 10), 'reached')
  t.equal(verdict({ atMost: 1.5 }, 15.1, 10), 'short')
  t.equal(verdict({ atMostMore: 250 }, 300, 50), 'reached')
  t.equal(verdict({ atMostMore: 250 }, 301, 50), 'short')
  t.equal(verdict(undefined, 1, 10), 'for reference')
})

t.test('a figure may stand alone, with a target of its own', async (t) => {
  const alone: Row = { work: 'share', figure: 'rate', unit: 'of 1', of: 'sidecar', target: { atLeast: 1 } }
  t.equal(outcomeOf(alone, roundsOf([1, 1, 1], []), contenders).verdict, 'reached')
  t.equal(outcomeOf(alone, roundsOf([0.99, 0.99, 1], []), contenders).verdict, 'short')
})

t.test('a peer that is not installed is named and does not count as a failure', async (t) => {
  const target = { atLeast: 2 }
  const outcome = outcomeOf({ ...row, target }, roundsOf([1], []), [
    { name: 'sidecar', measure },
    { name: 'peer', missing: 'peer is not installed' },
  ])
  t.match(outcome, { verdict: 'missing', missing: 'peer is not installed' })
  t.notOk(fallsShort([outcome]))
  t.ok(fallsShort([outcome, outcomeOf({ ...row, target }, roundsOf([1], [1]), contenders)]))
})

t.test('a figure near the limit of the load generator is a lower bound', async (t) => {
  const limited: Row = { ...row, limit: 'limit' }
  t.match(outcomeOf(limited, roundsOf([95], [50], [100]), contenders).remark, 'lower bound')
  t.equal(outcomeOf(limited, roundsOf([80], [50], [100]), contenders).remark, undefined)
})

t.test('a figure that was not measured is an error of the bench', async (t) => {
  t.throws(() => outcomeOf({ ...row, figure: 'p99Ms' }, roundsOf([1], [1]), contenders), /no figure "p99Ms"/)
  t.throws(() => outcomeOf({ ...row, against: 'nobody' }, roundsOf([1], [1]), contenders), /no contender/)
})
