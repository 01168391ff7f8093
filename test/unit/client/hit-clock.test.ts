import t from 'tap'
import { HitClock } from '../../../clients/node/src/near/hit-clock.js'
import { DrivenClock } from '../../support/driven-clock.js'

/** A clock of hits on a clock and a wall clock that the test moves. `reads` counts how often the clock was read. */
function driven() {
  const clock = new DrivenClock()
  const wall = { ms: 1_000 }
  const reads = { count: 0 }
  const now = () => {
    reads.count++
    return clock.now()
  }
  return { clock, wall, reads, hits: new HitClock({ clock: { now }, wallMs: () => Math.floor(wall.ms) }) }
}

t.test('the time of a hit is never early, and at most a millisecond late', async (t) => {
  const { clock, wall, reads, hits } = driven()
  for (let step = 0; step < 40; step++) {
    const aheadMs = hits.now() - clock.now()
    t.ok(aheadMs >= 0 && aheadMs <= 1, `${aheadMs}`)
    clock.advance(0.25)
    wall.ms += 0.25
  }
  t.equal(reads.count, 10, 'it is read once in a millisecond')
})

t.test('a wall clock that is set back, and a machine that slept, show at once', async (t) => {
  for (const wallMs of [-5_000, 60_000]) {
    const { clock, wall, hits } = driven()
    hits.now()
    clock.advance(4_000)
    wall.ms += wallMs
    t.ok(hits.now() >= clock.now(), `${wallMs}`)
  }
})

t.test('a wall clock that shows the same millisecond again is found out with the next one', async (t) => {
  const { clock, wall, hits } = driven()
  hits.now()
  clock.advance(4_000)
  t.ok(hits.now() < clock.now(), 'set back by exactly the time that has passed')
  clock.advance(1)
  wall.ms += 1
  t.ok(hits.now() >= clock.now())
})
