import t from 'tap'
import { SteadyClock } from '../../../src/postgres/sweep/steady-clock.js'

const never = Number.NEGATIVE_INFINITY

t.test('one reading, or several within a short time, confirm nothing', async (t) => {
  const clock = new SteadyClock(3_000)
  t.equal(clock.nowMs(0), never)
  clock.read(1_000_000, 0)
  clock.read(1_002_999, 2_999)
  t.equal(clock.nowMs(2_999), never)
  t.equal(clock.nowMs(3_000), 1_003_000)
})

t.test('a clock that was put forward counts once the readings have confirmed it', async (t) => {
  const clock = new SteadyClock(3_000)
  clock.read(1_000_000, 0)
  clock.read(1_004_000 + 60_000, 4_000)
  t.equal(clock.nowMs(4_000), 1_004_000)
  t.equal(clock.nowMs(7_000), 1_007_000, 'the reading from before counts')
  clock.read(1_007_000 + 60_000, 7_000)
  t.equal(clock.nowMs(7_000), 1_067_000)
})

t.test('a clock that was put back counts at once', async (t) => {
  const clock = new SteadyClock(3_000)
  clock.read(1_060_000, 0)
  clock.read(1_064_000, 4_000)
  clock.read(1_005_000, 5_000)
  t.equal(clock.nowMs(5_000), 1_005_000)
})

t.test('a clock that was put forward and back never counts as forward', async (t) => {
  const clock = new SteadyClock(3_000)
  const readings = [0, 60_000, 60_000, 0, 0]
  for (const [second, aheadMs] of readings.entries()) {
    clock.read(1_000_000 + second * 1_000 + aheadMs, second * 1_000)
    if (second >= 3) t.equal(clock.nowMs(second * 1_000), 1_000_000 + second * 1_000)
  }
})
