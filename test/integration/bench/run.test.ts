import t from 'tap'
import { argumentsOf } from '../../../bench/arguments.js'
import type { Contender } from '../../../bench/comparison.js'
import { comparisons } from '../../../bench/comparisons.js'
import { Lifetime } from '../../../bench/lifetime.js'
import { merged, type Section } from '../../../bench/results.js'
import { measureRounds } from '../../../bench/rounds.js'

t.test('contenders take turns, and the first round is discarded', async (t) => {
  const turns: string[] = []
  const contender = (name: string): Contender => ({
    name,
    measure: async ({ soFar }) => {
      turns.push(name)
      return { turn: turns.length, before: soFar.get('a')?.turn ?? 0 }
    },
  })
  const rounds = await measureRounds([contender('a'), contender('b')], {
    rounds: 2,
    seconds: 5,
    once: false,
    note: () => {},
  })
  t.same(turns, ['a', 'b', 'a', 'b', 'a', 'b'])
  t.same(rounds.get('a'), [
    { turn: 3, before: 0 },
    { turn: 5, before: 0 },
  ])
  t.same(
    rounds.get('b'),
    [
      { turn: 4, before: 3 },
      { turn: 6, before: 5 },
    ],
    'and sees the round so far',
  )
})

t.test('a slow comparison is measured once', async (t) => {
  let measured = 0
  const long: Contender = { name: 'long', measure: async () => ({ measured: ++measured }) }
  await measureRounds([long], { rounds: 5, seconds: 5, once: true, note: () => {} })
  t.equal(measured, 1)
})

t.test('arguments', async (t) => {
  const names = ['hit', 'set']
  t.match(argumentsOf([], names), { sections: names, rounds: 5, seconds: 5, check: false, json: false })
  t.match(argumentsOf(['set', '--rounds', '3', '--check'], names), {
    sections: ['set'],
    rounds: 3,
    check: true,
  })
  t.match(argumentsOf([], names, ['hit']), { sections: ['hit'] }, 'some are measured only when named')
  t.match(argumentsOf(['set'], names, ['hit']), { sections: ['set'] })
  for (const wrong of [['get'], ['--rounds', '0'], ['--rounds', '1.5'], ['--seconds', 'x'], ['--quick']])
    t.equal(argumentsOf(wrong, names), undefined, wrong.join(' '))
})

t.test('a part that is measured again replaces its result, and the others stay', async (t) => {
  const section = (name: string, seconds: number) => ({ name, seconds }) as Section
  const before = [section('hit', 1), section('miss', 1)]
  t.same(merged(before, section('miss', 2), ['hit', 'set', 'miss']), [section('hit', 1), section('miss', 2)])
  t.same(
    merged(before, section('set', 2), ['hit', 'set', 'miss']).map(({ name }) => name),
    ['hit', 'set', 'miss'],
  )
})

t.test('resources are closed in reverse order, whatever fails', async (t) => {
  const lifetime = new Lifetime()
  const ended: number[] = []
  lifetime.teardown(() => ended.push(1))
  lifetime.teardown(() => {
    throw new Error('second')
  })
  lifetime.teardown(() => ended.push(3))
  await t.rejects(lifetime.end(), /second/)
  t.same(ended, [3, 1])
  await lifetime.end()
  t.same(ended, [3, 1])
})

t.test('comparisons have distinct names', async (t) => {
  t.equal(new Set(comparisons.map(({ name }) => name)).size, comparisons.length)
})
