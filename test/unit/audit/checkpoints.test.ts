import t from 'tap'
import { boundMs, checkpointsUpTo } from '../../../src/tools/audit/checkpoints.js'
import { violationsAmong } from '../../../src/tools/audit/violation.js'

t.test(
  'sidecars are asked after 100 ms, 1 s and the bound, of which none is later than the bound',
  async (t) => {
    const timesUpTo = (maxStalenessMs: number) => checkpointsUpTo(maxStalenessMs).map(({ ms }) => ms)
    t.strictSame(timesUpTo(3_000), [100, 1_000, 3_000])
    t.strictSame(timesUpTo(1_001), [100, 1_000, 1_001])
    t.strictSame(timesUpTo(1_000), [100, 1_000])
    t.strictSame(timesUpTo(100), [100])
  },
)

t.test('the question at the bound comes later, by the drift of clocks and a margin', async (t) => {
  t.strictSame(checkpointsUpTo(3_000), [
    { ms: 100, askAtMs: 100 },
    { ms: 1_000, askAtMs: 1_000 },
    { ms: 3_000, askAtMs: boundMs(3_000) + 10 },
  ])
  t.ok(Math.abs(boundMs(3_000) - 3_003) < 1e-6)
})

t.test('only a sidecar that was asked after the bound has violated it', async (t) => {
  const answer = { kind: 'absent' } as const
  const askedAt = (sentMs: number) => ({ sidecar: `http://${sentMs}`, sentMs, answer })
  const bound = boundMs(1_000)
  const change = { key: 'k', version: '7' }
  const suspects = [bound - 1, bound, bound + 1].map(askedAt)
  t.strictSame(violationsAmong(suspects, { ...change, announcedMs: 0 }, 1_000), [
    { sidecar: `http://${bound + 1}`, ...change, ageMs: bound + 1 },
  ])
  t.strictSame(violationsAmong([6_000, 7_000].map(askedAt), { ...change, announcedMs: 5_000 }, 1_000), [
    { sidecar: 'http://7000', ...change, ageMs: 2_000 },
  ])
})
