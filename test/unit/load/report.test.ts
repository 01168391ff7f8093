import t from 'tap'
import { differences, parseBaseline } from '../../../src/tools/load/baseline.js'
import { type LoadReport, reportLines } from '../../../src/tools/load/report.js'
import { RequestTally } from '../../../src/tools/load/tally.js'

function tallied(...answers: readonly Parameters<RequestTally['add']>[]): RequestTally {
  const tally = new RequestTally()
  for (const one of answers) tally.add(...one)
  return tally
}

function reportOf(tally: RequestTally, more: Partial<LoadReport> = {}): LoadReport {
  const summary = tally.summary()
  return {
    report: 'caching-layer bench',
    url: 'http://127.0.0.1:8025',
    mix: 'get=90,set=10',
    keys: 'zipf:10',
    rate: 100,
    ratePerSecond: 100,
    connections: 4,
    valueBytes: 10,
    startedAt: '2026-11-25T00:00:00.000Z',
    seconds: 10,
    due: summary.answered,
    sent: summary.answered,
    ownLimitPerSecond: 10_000,
    lateness: new RequestTally().recent(),
    ...summary,
    ...more,
  }
}

t.test('failures are counted separately and have their own latencies', async (t) => {
  const tally = tallied(
    ['set', 200, 2],
    ['get', 200, 1],
    ['get', 404, 1],
    ['get', 503, 900],
    ['del', 404, 700],
  )
  const { latencies, failedLatencies, ...counted } = tally.summary()
  t.strictSame(counted, {
    answered: 5,
    failed: 2,
    statuses: { get: { 200: 1, 404: 1, 503: 1 }, set: { 200: 1 }, del: { 404: 1 } },
  })
  t.match(latencies, { get: { count: 2, maxMicros: 1_000 }, set: { count: 1 } })
  t.notOk(latencies.del)
  t.match(failedLatencies, { count: 2 })
  t.ok(failedLatencies.p50Micros >= 699_000)
  const text = reportLines(reportOf(tally)).join('\n')
  t.match(text, /^get .*\nset .*\nfailed /m, 'in the same order, independent of the responses')
  t.match(text, /^failed +\d/m)
  const table = text.split('\n').filter((line) => /^(µs|get|set|failed) /.test(line))
  t.equal(new Set(table.map(({ length }) => length)).size, 1, 'numbers are aligned to the right')
  t.match(table, [/ answers$/, / 2$/, / 1$/, / 2$/])
  t.match(text, /2 answers were failures: 1 × get 200, 1 × get 404, 1 × get 503, 1 × set 200, 1 × del 404/)
})

t.test('percentiles have three significant digits, however long it took', async (t) => {
  const tally = new RequestTally()
  for (let ms = 1; ms <= 10_000; ms++) tally.add('get', 200, ms)
  const { get } = tally.summary().latencies
  const about = { p50Micros: 5e6, p90Micros: 9e6, p99Micros: 9.9e6, p999Micros: 9.99e6, maxMicros: 1e7 }
  for (const [name, micros] of Object.entries(about)) {
    const said = get?.[name as keyof typeof about] ?? 0
    t.ok(Math.abs(said / micros - 1) < 0.001, `${name} ${said}`)
  }
  const longest = tallied(['get', 200, 1e12]).summary().latencies.get?.maxMicros ?? 0
  t.ok(Math.abs(longest / 1e15 - 1) < 0.001, `${longest}`)
})

t.test('a progress line covers the time since the line before', async (t) => {
  const tally = tallied(['get', 200, 1], ['get', 503, 1])
  t.equal(tally.recent().count, 2)
  t.equal(tally.recent().count, 0)
  t.equal(tally.summary().answered, 2)
})

t.test('with an earlier run, each figure has its ratio', async (t) => {
  const before = reportOf(tallied(['get', 200, 1]), { hitRatio: 0.4 })
  const now = reportOf(tallied(['get', 200, 2]), { hitRatio: 0.8, ratePerSecond: 50 })
  const [rate, hits, , get] = reportLines(now, before)
  t.match(rate, /^50 requests\/s of 100 asked for \(×0\.50\), 1 in 10\.0 s$/)
  t.match(hits, /^80\.0 % of the reads were hits \(×2\.00\)$/)
  t.match(get, /^get +2000 \(×2\.00\) +2000 \(×2\.00\)/)
  t.notMatch(reportLines(now).join('\n'), '×')
})

t.test('the report says how reliable its figures are', async (t) => {
  const lines = reportLines(
    reportOf(tallied(['get', 200, 1]), { due: 30, sent: 20, rate: 9_000, ratePerSecond: 1 }),
  ).join('\n')
  t.match(lines, '10 requests were due and not sent')
  t.match(lines, '19 requests were sent and not answered')
  t.match(lines, 'do not include unanswered requests')
  t.match(lines, 'near the limit of this load generator, 10000 requests/s')
  t.notMatch(reportLines(reportOf(tallied(['get', 200, 1]))).join('\n'), /not sent|not answered|near/)
})

t.test('the report has no notes without a reason', async (t) => {
  const limits = { rate: 8_000, ownLimitPerSecond: 10_000 }
  const one = tallied(['get', 200, 1])
  t.equal(reportLines(reportOf(one, limits)).length, 4, 'at 80 % of its own limit, the load is not late')
  t.match(reportLines(reportOf(one, { ...limits, rate: 8_001 })).join('\n'), 'near the limit')
  const lines = reportLines(reportOf(tallied(['get', 503, 1]))).join('\n')
  t.match(lines, '1 answers were failures: 1 × get 503')
  t.match(lines, /^failed +1000 +1000 +1000 +1000 +1000 +1$/m)
})

t.test('without answers, all figures are 0', async (t) => {
  const none = {
    count: 0,
    p50Micros: 0,
    p90Micros: 0,
    p99Micros: 0,
    p999Micros: 0,
    maxMicros: 0,
    meanMicros: 0,
  }
  t.strictSame(new RequestTally().recent(), none)
  const tally = tallied(['get', 200, 2], ['get', 200, 4])
  t.ok(Math.abs((tally.summary().latencies.get?.meanMicros ?? 0) - 3_000) <= 3, 'three digits')
  t.equal(tallied(['get', 200, 0]).summary().latencies.get?.maxMicros, 1, 'at least 1 µs')
})

t.test('any 2xx is a success, and 404 only of a get', async (t) => {
  for (const [operation, status, failed] of [
    ['set', 199, 1],
    ['set', 200, 0],
    ['set', 299, 0],
    ['set', 300, 1],
    ['set', 404, 1],
    ['get', 404, 0],
  ] as const)
    t.equal(tallied([operation, status, 1]).failed, failed, `${operation} ${status}`)
  const twice = tallied(['get', 200, 1], ['get', 200, 1], ['get', 503, 1])
  t.strictSame(twice.summary().statuses, { get: { 200: 2, 503: 1 } })
})

t.test('an earlier run must be a file written by --json', async (t) => {
  const report = reportOf(tallied(['get', 200, 1]))
  t.same(parseBaseline(JSON.stringify(report)), report)
  for (const text of ['', 'x', 'null', '[]', '1', '{}', '{"report":"another"}', '{"rate":1000}'])
    t.throws(() => parseBaseline(text), { message: 'this is not a report of bench --json' }, text)
  t.strictSame(differences(report, report), [])
  t.strictSame(differences({ ...report, rate: 5, keys: 'uniform:1', seconds: 1 } as LoadReport, report), [
    'keys was zipf:10 and is uniform:1',
    'rate was 100 and is 5',
  ])
})
