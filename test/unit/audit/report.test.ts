import t from 'tap'
import { errorRateAtMost } from '../../../src/tools/audit/error-rate.js'
import { progressText, reportJson, reportText } from '../../../src/tools/audit/report.js'
import { AuditTally } from '../../../src/tools/audit/tally.js'

const checkpoints = [100, 1_000, 3_000].map((ms) => ({ ms, askAtMs: ms }))

t.test('the upper bound of the error rate is right', async (t) => {
  t.equal(errorRateAtMost(0, 0), undefined)
  t.equal(errorRateAtMost(0, 1), 1)
  t.equal(errorRateAtMost(0, 1_000), 0.003)
  for (const [errors, trials, expected] of [
    [1, 100, 0.0436],
    [10, 100, 0.1596],
    [100, 100, 1],
  ] as const)
    t.ok(Math.abs((errorRateAtMost(errors, trials) ?? 0) - expected) < 0.001, `${errors} of ${trials}`)
})

t.test('the result is printed for people and as JSON', async (t) => {
  const tally = new AuditTally(['http://a', 'http://b'], checkpoints)
  Object.assign(tally, { changes: 12_345, sampled: 1_000, unnamed: 2, overtaken: 1, primaryReads: 900 })
  for (let write = 0; write < 1_000; write++) {
    for (const checkpoint of checkpoints) tally.judged(checkpoint, { kind: 'consistent', held: write > 0 })
  }
  tally.judged({ ms: 100, askAtMs: 100 }, { kind: 'undecided', why: 'overtaken' })
  tally.judged({ ms: 100, askAtMs: 100 }, { kind: 'inconsistent', suspects: [] })
  tally.answered([
    { sidecar: 'http://a', sentMs: 0, answer: { kind: 'value', digest: '' } },
    { sidecar: 'http://b', sentMs: 0, answer: { kind: 'none', reason: '' } },
  ])
  const clean = reportText(tally.report(303_000))
  t.match(clean, '1,000 of 1,001 sampled writes consistent within 100 ms (error rate at most')
  t.match(clean, '1,000 of 1,000 sampled writes consistent within 1 s (error rate at most 0.3 %, 95 %)')
  t.match(clean, '1,000 of 1,000 sampled writes consistent within 3 s, the bound (error rate at most 0.3 %')
  t.match(clean, '0 violations of the bound')
  t.match(clean, '1,000 of 12,345 changes sampled in 5 min 3 s')
  t.match(progressText(tally.report(3_000), 4), /^3 s: 0 violations; .*3 s 1000\/1000; .*4 under way$/)

  for (let violation = 0; violation < 30; violation++)
    tally.violated({ sidecar: 'http://b', key: 'a "key"', version: '17', ageMs: 3_013.7 })
  const report = tally.report(303_000)
  t.match(reportText(report), '30 violations of the bound\n  http://b served as fresh what key "a \\"key\\""')
  t.equal(reportText(report).match(/http:\/\/b served/g)?.length, 20)
  t.match(JSON.parse(reportJson(report)), {
    elapsed_seconds: 303,
    sampled: 1_000,
    within: [
      { ms: 100, writes: 1_001, consistent: 1_000, held: 1_000 },
      { ms: 1_000, writes: 1_000, consistent: 1_000, held: 999, error_rate_at_most: 0.003 },
      { ms: 3_000 },
    ],
    violations: 30,
    violation_examples: [{ sidecar: 'http://b', key: 'a "key"', version: '17', age_ms: 3_013 }],
    sidecars: [
      { url: 'http://a', fresh: 1, nothing: 0, stale: 0, unanswered: 0 },
      { url: 'http://b', fresh: 0, unanswered: 1 },
    ],
  })
})

t.test('a number of one has no plural, and examples that are left out are hinted at', async (t) => {
  const tally = new AuditTally(['http://a'], checkpoints)
  Object.assign(tally, { changes: 1, sampled: 1, primaryReads: 1, feedLosses: 1 })
  tally.violated({ sidecar: 'http://a', key: 'k', version: '-17', ageMs: 1_234_567.8 })
  const lines = reportText(tally.report(59_999)).split('\n')
  t.strictSame(lines.slice(0, 5), [
    '0 of 0 sampled writes consistent within 100 ms',
    '0 of 0 sampled writes consistent within 1 s',
    '0 of 0 sampled writes consistent within 3 s, the bound',
    '1 violation of the bound',
    '  http://a served as fresh what key "k" held before its deletion, 1,234,567 ms after that was announced',
  ])
  t.equal(lines[5], '')
  t.equal(
    lines.at(-1),
    '1 of 1 change sampled in 59 s (0 then overtaken by a newer one, 0 named no key);' +
      ' the primary was read 1 time, the change feed lost 1 time',
  )
  t.match(progressText(tally.report(60_000), 0), /^1 min 0 s: 1 violation; /)
  for (let violation = 1; violation < 20; violation++)
    tally.violated({ sidecar: 'http://a', key: 'k', version: '1', ageMs: 1 })
  t.notMatch(reportText(tally.report(1)), '\n  ...\n')
  tally.violated({ sidecar: 'http://a', key: 'k', version: '1', ageMs: 1 })
  t.match(reportText(tally.report(1)), '\n  ...\n')
})

t.test('a verdict counts at its checkpoint, and an answer for its sidecar', async (t) => {
  const tally = new AuditTally(['http://a'], checkpoints)
  tally.judged({ ms: 7, askAtMs: 7 }, { kind: 'consistent', held: true })
  tally.judged({ ms: 1_000, askAtMs: 1_000 }, { kind: 'inconsistent', suspects: [] })
  for (const kind of ['absent', 'nothing', 'stale'] as const)
    tally.answered([
      { sidecar: 'http://a', sentMs: 0, answer: { kind } },
      { sidecar: 'http://other', sentMs: 0, answer: { kind } },
    ])
  const { within, sidecars } = tally.report(0)
  t.strictSame(
    within.map(({ writes, consistent, held }) => [writes, consistent, held]),
    [
      [0, 0, 0],
      [1, 0, 1],
      [0, 0, 0],
    ],
  )
  t.strictSame(sidecars, [{ url: 'http://a', fresh: 1, nothing: 1, stale: 1, unanswered: 0 }])
  t.equal(JSON.parse(reportJson(tally.report(1_234))).elapsed_seconds, 1.234)
  t.equal(JSON.parse(reportJson(tally.report(1_234))).within[0].error_rate_at_most, null)
})

t.test('a result with little evidence says so', async (t) => {
  const tally = new AuditTally(['http://a'], checkpoints)
  for (const checkpoint of checkpoints) tally.judged(checkpoint, { kind: 'consistent', held: false })
  t.match(reportText(tally.report(1_000)), 'this shows little')
  const nothing = new AuditTally(['http://a'], checkpoints)
  t.notMatch(reportText(nothing.report(1_000)), 'this shows little')
  const held = new AuditTally(['http://a'], checkpoints)
  for (const checkpoint of checkpoints) held.judged(checkpoint, { kind: 'consistent', held: true })
  t.notMatch(reportText(held.report(1_000)), 'this shows little')
})
