import t from 'tap'
import { RequestStats } from '../../../src/telemetry/request-stats.js'

t.test('requests are counted by route, outcome and source', async (t) => {
  const stats = new RequestStats()
  for (const status of [200, 304, 404, 399, 400, 499, 503, 504, 500, 502])
    stats.tally('/r', status, 'db').add(1)
  stats.tally('/r', 200).add(1)
  stats.tally('/other', 200, 'db').add(1)
  t.strictSame(
    [...stats.tallies()].map(({ route, outcome, source, count }) => [route, outcome, source, count]),
    [
      ['/r', 'ok', 'db', 3],
      ['/r', 'not_found', 'db', 1],
      ['/r', 'refused', 'db', 2],
      ['/r', 'unavailable', 'db', 1],
      ['/r', 'not_held', 'db', 1],
      ['/r', 'failed', 'db', 2],
      ['/r', 'ok', 'none', 1],
      ['/other', 'ok', 'db', 1],
    ],
  )
  t.equal(stats.tally('/r', 200, 'db'), stats.tally('/r', 201, 'db'), 'a caller may keep it')
})

t.test('times are in seconds, for all outcomes of a route and source together', async (t) => {
  const stats = new RequestStats()
  stats.tally('/r', 200, 'cache').add(0.02)
  stats.tally('/r', 404, 'cache').add(1_500)
  stats.tally('/r', 200, 'db').add(20_000)
  const [cache, db, ...more] = [...stats.durations()]
  t.strictSame(more, [])
  t.match(
    [cache, db],
    [
      { route: '/r', source: 'cache' },
      { route: '/r', source: 'db' },
    ],
  )
  t.equal(cache?.seconds.sum, 1.500_02)
  t.equal(cache?.seconds.bounds[0], 0.000_025)
  t.equal(cache?.seconds.bounds.at(-1), 10)
  t.equal(cache?.seconds.cumulative()[0], 1)
  t.same(db?.seconds.cumulative().slice(-2), [0, 1], 'longer than the last bound')
})

t.test('times are counted in buckets from 25 microseconds to 10 seconds', async (t) => {
  const stats = new RequestStats()
  stats.tally('/r', 200)
  const [durations] = stats.durations()
  t.strictSame(
    durations?.seconds.bounds.map((seconds) => Math.round(seconds * 1_000_000)),
    [
      ...[25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000],
      ...[1_000_000, 2_500_000, 5_000_000, 10_000_000],
    ],
  )
})
