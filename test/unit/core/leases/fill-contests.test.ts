import t from 'tap'
import { FillContests } from '../../../../src/core/leases/fill-contests.js'
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

t.test('a lease that is blocked is asked for again after a while', async (t) => {
  const clock = new DrivenClock()
  let asked = 0
  const acquire = async () => {
    asked++
    return { kind: 'blocked' } as const
  }
  const contest = new FillContests().enter('a')
  const ask = () =>
    contest.ask(
      { key: 'a', groups: [], durationMs: 60_000 },
      { leases: { acquire }, clock, pause: async () => {} },
    )
  const turn = await ask()
  t.strictSame(turn, { kind: 'wait', untilMs: clock.now() + 250, isBlocked: true })
  const attempts = asked
  clock.advance(249)
  t.strictSame(await ask(), turn)
  t.equal(asked, attempts)
  clock.advance(1)
  await ask()
  t.ok(asked > attempts)
})
