import t from 'tap'
import { FillContests } from '../../../../src/core/leases/fill-contests.js'
import type { LeaseAnswer } from '../../../../src/core/leases/fill-leases.js'
import { DrivenClock } from '../../../support/driven-clock.js'

t.test('callers of a key share a contest, which ends with the last of them', async (t) => {
  const contests = new FillContests()
  const first = contests.enter('a')
  t.equal(contests.enter('a'), first)
  t.not(contests.enter('b'), first)
  contests.leave('a')
  t.equal(contests.enter('a'), first)
  contests.leave('a')
  contests.leave('a')
  t.not(contests.enter('a'), first)
  contests.leave('never entered')
})

t.test('a change wakes those who wait for the key', async (t) => {
  const contests = new FillContests()
  const woken: string[] = []
  const [a, b] = [contests.enter('a'), contests.enter('b')]
  const stop = a.onChange(() => woken.push('a'))
  b.onChange(() => woken.push('b'))
  contests.changed('a')
  contests.changed('c')
  contests.refusedFill('b')
  contests.allChanged()
  t.strictSame(woken, ['a', 'b', 'a', 'b'])
  t.strictSame([a.changes, b.changes], [2, 2])
  stop()
  contests.changed('a')
  t.equal(woken.length, 4)
  t.strictSame(contests.counts, { granted: 0, refused: 1, waiting: 0 })
})

/** A contest in which everybody who asks for the lease gets this answer. */
function contestWith(answer: LeaseAnswer) {
  const clock = new DrivenClock()
  const contest = new FillContests().enter('a')
  let asked = 0
  const acquire = async () => {
    asked++
    return answer
  }
  const ask = () =>
    contest.ask(
      { key: 'a', groups: [], durationMs: 60_000 },
      { leases: { acquire }, clock, pause: async () => {} },
    )
  return { clock, contest, ask, asked: () => asked }
}

t.test('a lease that is blocked is asked for again after a while', async (t) => {
  const { clock, ask, asked } = contestWith({ kind: 'blocked' })
  const turn = await ask()
  t.strictSame(turn, { kind: 'wait', untilMs: clock.now() + 250, isBlocked: true })
  const attempts = asked()
  clock.advance(249)
  t.strictSame(await ask(), turn)
  t.equal(asked(), attempts)
  clock.advance(1)
  await ask()
  t.ok(asked() > attempts)
})

t.test('callers share an answer for a second, unless something has changed', async (t) => {
  const { clock, contest, ask, asked } = contestWith({ kind: 'taken', remainingMs: 300_000 })
  const turn = await ask()
  t.strictSame(turn, { kind: 'wait', untilMs: clock.now() + 300_010, isBlocked: false })
  clock.advance(999)
  t.strictSame(await ask(), turn)
  t.equal(asked(), 1)
  clock.advance(1)
  await ask()
  t.equal(asked(), 2)
  contest.changed()
  await ask()
  t.equal(asked(), 3)
})

t.test('the next caller asks when the lease has ended, with some slack', async (t) => {
  for (const [answer, lastsMs] of [
    [{ kind: 'granted', lease: 'lease' }, 60_010],
    [{ kind: 'taken', remainingMs: 500 }, 510],
    [{ kind: 'taken', remainingMs: -5 }, 10],
  ] as const) {
    const { clock, contest, ask, asked } = contestWith(answer)
    const beganMs = clock.now()
    await ask()
    const waiting = contest.ask(
      { key: 'a', groups: [], durationMs: 1 },
      { leases: { acquire: () => Promise.reject(new Error('not asked')) }, clock, pause: async () => {} },
    )
    t.strictSame(await waiting, { kind: 'wait', untilMs: beganMs + lastsMs, isBlocked: false })
    clock.advance(lastsMs)
    await ask()
    t.equal(asked(), 2)
  }
})
