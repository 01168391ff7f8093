import t from 'tap'
import { DatabaseClock } from '../../../../src/core/state/database-clock.js'

const aheadMs = 1_700_000_000_000

/** Returns a clock of the database that was seen at 0, within 10 ms. */
function seenOnce(): DatabaseClock {
  const clock = new DatabaseClock()
  clock.seen(aheadMs, 0, 10)
  return clock
}

t.test('the first sight of the clock is no jump, and neither is time that passes', async (t) => {
  const clock = new DatabaseClock()
  t.equal(clock.seen(aheadMs, 0, 10), undefined)
  t.equal(clock.seen(aheadMs + 60_000, 60_000, 60_010), undefined)
  t.equal(new DatabaseClock().seen(0, 60_000, 60_010), undefined, 'a clock that is behind')
})

t.test('a correction of up to a second is no jump, whatever its direction', async (t) => {
  for (const [correctedMs, jump] of [
    // The answer has taken 10 ms, so the clock may have been read 10 ms before or after.
    [1_010, undefined],
    [1_011, 'forward'],
    [-1_010, undefined],
    [-1_011, 'back'],
  ] as const)
    t.equal(seenOnce().seen(aheadMs + 5_000 + correctedMs, 5_000, 5_010), jump, `${correctedMs} ms`)
})

t.test('corrections that add up to more than a second are a jump', async (t) => {
  for (const [correctionMs, jump] of [
    [400, 'forward'],
    [-400, 'back'],
  ] as const) {
    const clock = seenOnce()
    const jumps = [1, 2, 3].map((count) =>
      clock.seen(aheadMs + count * (5_000 + correctionMs), count * 5_000, count * 5_000 + 10),
    )
    t.strictSame(jumps, [undefined, undefined, jump])
  }
})

t.test('a slow answer hides no jump from the next ones', async (t) => {
  const clock = seenOnce()
  t.equal(clock.seen(aheadMs + 10_000, 5_000, 15_000), undefined, 'it was read at any of these moments')
  t.equal(clock.seen(aheadMs + 20_000 + 2_000, 20_000, 20_010), 'forward')
  t.equal(clock.seen(aheadMs + 30_000, 30_000, 30_010), 'back')
})

t.test('after a jump, the clock is compared with where it jumped to', async (t) => {
  for (const jumpMs of [60_000, -60_000]) {
    const clock = seenOnce()
    t.ok(clock.seen(aheadMs + 5_000 + jumpMs, 5_000, 5_010))
    t.equal(clock.seen(aheadMs + 6_000 + jumpMs, 6_000, 6_010), undefined)
    t.ok(clock.seen(aheadMs + 7_000, 7_000, 7_010), 'the way back is a jump, too')
  }
})
