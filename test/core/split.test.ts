import t from 'tap'
import { CacheError } from '../../src/core/errors.js'
import { runSplitting } from '../../src/core/split.js'

const items = (...keys: string[]) => keys.map((key) => ({ key }))

t.test('one statement when nothing goes wrong, and a result for every item, in order', async (t) => {
  let statements = 0
  const results = await runSplitting(items('a', 'b'), {
    run: async () => {
      statements++
      return new Map([['b', 2]])
    },
  })
  t.equal(statements, 1)
  t.same(results, [
    { status: 'fulfilled', value: undefined },
    { status: 'fulfilled', value: 2 },
  ])
})

t.test('the guilty fail alone, wherever they stand', async (t) => {
  const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
  for (const guilty of [['a'], ['g'], ['c', 'd'], ['a', 'g'], keys]) {
    const results = await runSplitting(items(...keys), {
      run: async (part) => {
        if (part.some(({ key }) => guilty.includes(key))) throw new CacheError('refused', 'no')
        return new Map(part.map(({ key }) => [key, key.toUpperCase()]))
      },
    })
    t.same(
      results.map((result) => (result.status === 'fulfilled' ? result.value : 'refused')),
      keys.map((key) => (guilty.includes(key) ? 'refused' : key.toUpperCase())),
    )
  }
})

t.test('any other error is everybody’s, at once: a half may have happened', async (t) => {
  for (const reason of [
    new CacheError('store-unavailable', 'away'),
    new CacheError('store-busy', 'slow'),
    new CacheError('outcome-unknown', 'lost'),
    new Error('a bug'),
  ]) {
    let statements = 0
    const results = await runSplitting(items('a', 'b'), {
      run: async () => {
        statements++
        throw reason
      },
    })
    t.equal(statements, 1)
    t.same(
      results.map((result) => result.status === 'rejected' && result.reason === reason),
      [true, true],
    )
  }
})

t.test('when the store goes away half way, what was done is done and the rest is told', async (t) => {
  let statements = 0
  const results = await runSplitting(items('bad', 'b', 'c', 'd'), {
    run: async (part) => {
      if (++statements > 4) throw new CacheError('store-unavailable', 'away')
      if (part.some(({ key }) => key === 'bad')) throw new CacheError('refused', 'no')
      return new Map(part.map(({ key }) => [key, true]))
    },
  })
  t.same(
    results.map((result) => (result.status === 'fulfilled' ? 'done' : result.reason.code)),
    ['refused', 'done', 'store-unavailable', 'store-unavailable'],
  )
})

t.test('once it is late, no half is tried any more', async (t) => {
  let statements = 0
  const results = await runSplitting(items('a', 'b', 'c', 'd'), {
    run: async () => {
      statements++
      throw new CacheError('row-locked', 'locked')
    },
    isLate: () => statements >= 2,
  })
  t.ok(results.every(({ status }) => status === 'rejected'))
  t.equal(statements, 2)
})

t.test('locked items are asked for, and the others sent together', async (t) => {
  const sent: string[] = []
  const locked = new Set(['b', 'd'])
  const results = await runSplitting(items('a', 'b', 'c', 'd'), {
    run: async (part) => {
      sent.push(part.map(({ key }) => key).join(''))
      if (part.some(({ key }) => locked.has(key))) throw new CacheError('row-locked', 'locked')
      return new Map(part.map(({ key }) => [key, key]))
    },
    lockedOf: async () => locked,
  })
  t.same(sent, ['abcd', 'ac'])
  t.same(
    results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code)),
    ['a', 'row-locked', 'c', 'row-locked'],
  )
})
