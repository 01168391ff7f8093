import t from 'tap'
import { Lease } from '../../../src/core/state/lease.js'
import { SuspendClock } from '../../../src/sidecar/suspend-clock.js'

/** Two clocks that the test moves, and one that compares them. */
function clocks() {
  const state = { monotonicMs: 5_000, wallMs: 1_700_000_000_000, jumps: [] as number[] }
  const clock = new SuspendClock({
    monotonicMs: () => state.monotonicMs,
    wallMs: () => state.wallMs,
    onJump: (ms) => state.jumps.push(ms),
  })
  return {
    clock,
    jumps: state.jumps,
    run: (ms: number) => {
      state.monotonicMs += ms
      state.wallMs += ms
    },
    suspend: (ms: number) => {
      state.wallMs += ms
    },
  }
}

const hourMs = 3_600_000

t.test('a lease does not outlive a sleep', async (t) => {
  const { clock, run, suspend } = clocks()
  const lease = new Lease(3_000)
  lease.listening(clock.now())
  lease.compared(lease.comparing())
  run(500)
  t.equal(lease.holds(clock.now()), true)
  suspend(hourMs)
  t.equal(lease.holds(clock.now()), false)
  run(100)
  const sentMs = clock.now()
  suspend(hourMs)
  lease.proven(sentMs)
  t.equal(lease.holds(clock.now()), false, 'by an answer that was read after the sleep')
  lease.proven(clock.now())
  t.equal(lease.holds(clock.now()), true)
})

t.test('time follows both clocks, and the wall clock where that is ahead', async (t) => {
  const { clock, jumps, run, suspend } = clocks()
  const startMs = clock.now()
  run(1_000)
  t.equal(clock.now() - startMs, 1_000)
  suspend(hourMs)
  t.equal(clock.now() - startMs, hourMs + 1_000)
  t.equal(clock.now() - startMs, hourMs + 1_000, 'counted once')
  t.same(jumps, [hourMs])
})

t.test('a wall clock that is set back changes nothing, and a sleep after it counts', async (t) => {
  const { clock, run, suspend } = clocks()
  const startMs = clock.now()
  suspend(-hourMs)
  run(1_000)
  t.equal(clock.now() - startMs, 1_000)
  suspend(hourMs / 2)
  t.equal(clock.now() - startMs, 1_000 + hourMs / 2)
})

t.test('many short sleeps add up', async (t) => {
  const { clock, suspend } = clocks()
  const startMs = clock.now()
  for (let index = 0; index < 1_000; index++) {
    suspend(7)
    clock.now()
  }
  t.ok(Math.abs(clock.now() - startMs - 7_000) <= 20)
})

t.test('the resolution of the clocks and a pause between two readings add no time', async (t) => {
  let pauseMs = 0
  let monotonicMs = 0
  const clock = new SuspendClock({
    monotonicMs: () => {
      monotonicMs += 0.1 + pauseMs
      pauseMs = 0
      return monotonicMs
    },
    wallMs: () => Math.floor(monotonicMs),
  })
  clock.now()
  for (let index = 0; index < 10_000; index++) {
    if (index % 10 === 0) pauseMs = 500
    clock.now()
  }
  t.ok(clock.now() - monotonicMs <= 1)
})
