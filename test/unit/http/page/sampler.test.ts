import t from 'tap'
import { Histogram } from '../../../../src/core/histogram.js'
import type { MemoryUse } from '../../../../src/core/state/memory-use.js'
import { Stats } from '../../../../src/core/stats.js'
import type { CacheStatus } from '../../../../src/core/status.js'
import type { Row, SampleColumn } from '../../../../src/http/ops/page/page-data.js'
import { quantile } from '../../../../src/http/ops/page/quantile.js'
import { Sampler, sampleColumns } from '../../../../src/http/ops/page/sampler.js'
import { RequestStats } from '../../../../src/telemetry/request-stats.js'
import { DrivenClock } from '../../../support/driven-clock.js'

function sampling() {
  const clock = new DrivenClock()
  const stats = new Stats()
  const requests = new RequestStats()
  const eventLoopDelay = new Histogram([0.001, 0.01, 0.1])
  const status = { leaseAgeMs: Number.POSITIVE_INFINITY, feed: 'live' }
  const sampler = new Sampler({
    status: () => ({ stats, ...status }) as CacheStatus,
    memory: () => ({ entries: { bytes: 300 }, responses: { bytes: 20 } }) as unknown as MemoryUse,
    requests,
    eventLoopDelay,
    clock,
  })
  const sample = (afterMs = 2_000) => {
    clock.advance(afterMs)
    return sampler.sample(1_000_000)
  }
  return { stats, requests, eventLoopDelay, status, sample }
}

const numberOf = (row: Row, column: SampleColumn) => row[sampleColumns.indexOf(column)]

t.test('a sample has the rates since the one before', async (t) => {
  const { stats, requests, sample } = sampling()
  stats.hits = 500
  const first = sample()
  t.equal(numberOf(first, 'time'), 1_000)
  t.equal(numberOf(first, 'hits'), 250)
  t.equal(numberOf(first, 'requests'), 0)
  t.equal(numberOf(first, 'memoryBytes'), 320)
  stats.hits += 10
  stats.missesExpired += 4
  requests.tally('/cache/get', 200, 'cache').add(1)
  requests.tally('/cache/set', 200, 'db').add(1)
  const second = sample()
  t.equal(numberOf(second, 'hits'), 5)
  t.equal(numberOf(second, 'expired'), 2)
  t.equal(numberOf(second, 'absent'), 0)
  t.equal(numberOf(second, 'requests'), 1)
  stats.missesUnproven += 6
  stats.missesRequested += 8
  stats.missesAbsent += 10
  requests.tally('/cache/get', 200, 'cache').add(100_000)
  const third = sample()
  for (const [column, rate] of [
    ['hits', 0],
    ['absent', 5],
    ['expired', 0],
    ['unproven', 3],
    ['requested', 4],
    ['requests', 0.5],
  ] as const)
    t.equal(numberOf(third, column), rate, column)
  t.ok(Number(numberOf(third, 'residentBytes')) > 1e7)
  stats.hits += 1
  t.equal(numberOf(sample(0), 'hits'), 1_000, 'a moment counts as a millisecond')
})

t.test('quantiles are those of the last samples; without requests there are none', async (t) => {
  const { requests, sample, eventLoopDelay } = sampling()
  t.equal(numberOf(sample(), 'p50Ms'), null)
  const tally = requests.tally('/cache/get', 200, 'cache')
  for (let count = 0; count < 98; count++) tally.add(0.05)
  for (let count = 0; count < 2; count++) tally.add(900)
  eventLoopDelay.observe(0.05)
  const row = sample()
  t.equal(numberOf(row, 'p50Ms'), 0.038, 'between the bounds 0.025 and 0.05 ms')
  t.equal(numberOf(row, 'p99Ms'), 750, 'between 500 and 1,000 ms')
  t.equal(numberOf(row, 'loopDelayMs'), 99.1, 'between 10 and 100 ms')
  for (let samples = 0; samples < 4; samples++) t.equal(numberOf(sample(), 'p50Ms'), 0.038)
  t.equal(numberOf(sample(), 'p50Ms'), null, 'after ten seconds without requests')
})

t.test('the age of the lease is not known before the first proof, and of no interest at rest', async (t) => {
  const { status, sample } = sampling()
  t.equal(numberOf(sample(), 'leaseAgeMs'), null)
  status.leaseAgeMs = 12.3456
  t.equal(numberOf(sample(), 'leaseAgeMs'), 12.346)
  status.feed = 'idle'
  t.equal(numberOf(sample(), 'leaseAgeMs'), null)
})

t.test('a quantile is interpolated in its bucket', async (t) => {
  t.equal(quantile([1, 2], [0, 0, 0], 0.5), undefined)
  t.equal(quantile([1, 2], [2, 0, 0], 0.5), 0.5)
  t.equal(quantile([1, 2], [0, 4, 0], 0.5), 1.5)
  t.equal(quantile([1, 2], [2, 4, 0], 0.5), 1.25)
  t.equal(quantile([1, 2], [1, 0, 9], 0.99), 2, 'beyond the last bound')
})
