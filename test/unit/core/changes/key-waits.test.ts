import t from 'tap'
import { KeyWaits } from '../../../../src/core/changes/key-waits.js'
import { FillContests } from '../../../../src/core/leases/fill-contests.js'
import type { FeedState } from '../../../../src/core/state/lease.js'
import type { CacheStatus } from '../../../../src/core/status.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { turn } from '../../../support/turn.js'

function keyWaits() {
  const clock = new DrivenClock()
  const contests = new FillContests()
  const timers = new Map<() => void, number>()
  const model = { feed: 'live' as FeedState }
  const waits = new KeyWaits({
    cache: { status: () => ({ feed: model.feed }) as CacheStatus },
    contests,
    clock,
    after: (ms, task) => {
      timers.set(task, ms)
      return () => timers.delete(task)
    },
  })
  const contest = contests.enter('k')
  const client = new AbortController()
  /** Begins to wait. `isOver` tells if the wait has ended. */
  const waiting = (ms: number, seen = contest.changes) => {
    const wait = { isOver: false }
    waits.wait(contest, seen, ms, client.signal).then(() => {
      wait.isOver = true
    })
    return wait
  }
  return { model, clock, contests, contest, client, waits, waiting, timers, inMs: () => [...timers.values()] }
}

t.test('a request may wait until its time is up, its client is gone, or the sidecar closes', async (t) => {
  const { clock, client, waits } = keyWaits()
  const { signal } = client
  t.equal(waits.leftMs(clock.now() + 700, signal), 700)
  t.equal(waits.leftMs(clock.now() - 1, signal), 0)
  client.abort()
  t.equal(waits.leftMs(clock.now() + 700, signal), 0)
  const other = new AbortController().signal
  t.equal(waits.leftMs(clock.now() + 700, other), 700)
  waits.close()
  t.equal(waits.leftMs(clock.now() + 700, other), 0)
})

t.test('at most 1,000 requests wait at the same time', async (t) => {
  const { clock, client, contests, waits } = keyWaits()
  contests.waiting = 999
  t.equal(waits.leftMs(clock.now() + 1, client.signal), 1)
  contests.waiting = 1_000
  t.equal(waits.leftMs(clock.now() + 1, client.signal), 0)
})

t.test('a change, the end of the time, the client and the close end a wait', async (t) => {
  for (const [name, end] of [
    ['change', ({ contests }) => contests.changed('k')],
    ['time', ({ timers }) => [...timers.keys()].forEach((task) => void task())],
    ['client', ({ client }) => client.abort()],
    ['close', ({ waits }) => waits.close()],
  ] as readonly (readonly [string, (one: ReturnType<typeof keyWaits>) => void])[]) {
    const one = keyWaits()
    const wait = one.waiting(300)
    await turn()
    t.notOk(wait.isOver, name)
    t.equal(one.contests.waiting, 1)
    t.strictSame(one.inMs(), [300])
    end(one)
    await turn()
    t.ok(wait.isOver, name)
    t.equal(one.contests.waiting, 0)
    t.equal(one.timers.size, 0, 'no timer is left behind')
  }
})

t.test('a change that came before the wait ends it at once, and so does a client that is gone', async (t) => {
  const changed = keyWaits()
  const { changes } = changed.contest
  changed.contests.changed('k')
  const late = changed.waiting(300, changes)
  await turn()
  t.ok(late.isOver)
  t.equal(changed.timers.size, 0)
  const { client, waiting } = keyWaits()
  client.abort()
  const gone = waiting(300)
  await turn()
  t.ok(gone.isOver)
})

t.test('while the feed brings no changes, all requests poll at the same moments', async (t) => {
  const { model, clock, waiting, inMs } = keyWaits()
  model.feed = 'down'
  waiting(10_000)
  t.strictSame(inMs(), [500])
  clock.advance(120)
  waiting(10_000)
  waiting(100)
  t.strictSame(inMs(), [500, 380, 100])
})
