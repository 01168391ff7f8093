import { mock } from 'node:test'
import t from 'tap'
import { EventLoopDelay } from '../../../src/telemetry/prometheus/event-loop-delay.js'

t.test('every 50 ms, the time by which a timer is late is counted', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  let nowMs = 0
  const delay = new EventLoopDelay({ now: () => nowMs })
  t.same(delay.seconds.bounds, [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
  delay.start()
  t.teardown(() => delay.close())
  for (const lateMs of [0, 0.75, 2, 30, 20_000]) {
    nowMs += 50 + lateMs
    mock.timers.tick(49)
    mock.timers.tick(1)
  }
  t.same(delay.seconds.cumulative(), [2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5])
  t.equal(Math.round(delay.seconds.sum * 1_000), 20_033)
})

t.test('a timer that fires early counts as punctual', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  let nowMs = 0
  const delay = new EventLoopDelay({ now: () => nowMs })
  delay.start()
  t.teardown(() => delay.close())
  nowMs = 49
  mock.timers.tick(50)
  t.equal(delay.seconds.cumulative()[0], 1)
  t.equal(delay.seconds.sum, 0)
})
