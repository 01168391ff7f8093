import t from 'tap'
import { runBisecting } from '../../../../src/core/batching/bisect.js'
import { CacheError } from '../../../../src/core/errors.js'
import type { BatchPart } from '../../../../src/core/ports.js'

const items = (...keys: string[]) => keys.map((key) => ({ key }))

t.test('without errors there is one statement and a result for every item, in order', async (t) => {
  let statements = 0
  const results = await runBisecting(items('a', 'b'), {
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

t.test('only the items at fault fail, wherever they are', async (t) => {
  const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
  for (const guilty of [['a'], ['g'], ['c', 'd'], ['a', 'g'], keys]) {
    const results = await runBisecting(items(...keys), {
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

t.test('any other error fails the whole batch at once, since a half may have been applied', async (t) => {
  for (const reason of [
    new CacheError('store-unavailable', 'away'),
    new CacheError('store-busy', 'slow'),
    new CacheError('outcome-unknown', 'lost'),
    new Error('a bug'),
  ]) {
    let statements = 0
    const results = await runBisecting(items('a', 'b'), {
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

t.test('if the store becomes unavailable halfway, finished items stay and the rest fail', async (t) => {
  let statements = 0
  const results = await runBisecting(items('bad', 'b', 'c', 'd'), {
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

t.test('after the deadline no half is tried', async (t) => {
  let statements = 0
  const results = await runBisecting(items('a', 'b', 'c', 'd'), {
    run: async () => {
      statements++
      throw new CacheError('row-locked', 'locked')
    },
    isLate: () => statements >= 2,
  })
  t.ok(results.every(({ status }) => status === 'rejected'))
  t.equal(statements, 2)
})

t.test('locked items are found, and the others are sent together', async (t) => {
  const sent: string[] = []
  const locked = new Set(['b', 'd'])
  const results = await runBisecting(items('a', 'b', 'c', 'd'), {
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

/** Runs in which each slow key makes its statement take too long. */
function slowRun(slow: readonly string[]) {
  const sent: string[] = []
  const parts: (BatchPart | undefined)[] = []
  const run = async (items: readonly { readonly key: string }[], part?: BatchPart) => {
    sent.push(items.map(({ key }) => key).join(''))
    parts.push(part)
    if (items.some(({ key }) => slow.includes(key))) throw new CacheError('store-busy', 'slow')
    return new Map(items.map(({ key }) => [key, key]))
  }
  return { sent, parts, run }
}

t.test('one item that takes too long fails alone, and parts get less time than the batch had', async (t) => {
  const { sent, parts, run } = slowRun(['f'])
  const results = await runBisecting(items(...'abcdefgh'), { run, timeLeftMs: () => 1_000 })
  t.same(sent, ['abcdefgh', 'abcd', 'efgh', 'ef', 'gh', 'e', 'f'])
  t.same(parts, [undefined, ...Array(6).fill({ withinMs: 200 })], 'three levels, and both halves of one')
  t.same(
    results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code)),
    [...'abcde', 'store-busy', 'g', 'h'],
  )
})

t.test('if both halves take too long, the store is too slow', async (t) => {
  const { sent, run } = slowRun([...'abcdefgh'])
  const results = await runBisecting(items(...'abcdefgh'), { run, timeLeftMs: () => 1_000 })
  t.same(sent, ['abcdefgh', 'abcd', 'efgh'])
  t.ok(results.every((result) => result.status === 'rejected' && result.reason.code === 'store-busy'))
})

t.test('the search stops if there is no time for it', async (t) => {
  for (const options of [{}, { timeLeftMs: () => 0 }, { timeLeftMs: () => 50 }]) {
    const { sent, run } = slowRun(['a'])
    await runBisecting(items('a', 'b'), { run, ...options })
    t.same(sent, ['ab'])
  }
  let leftMs = 1_500
  const { sent, run } = slowRun(['a'])
  const timeLeftMs = () => {
    leftMs -= 500
    return leftMs
  }
  await runBisecting(items(...'abcdefgh'), { run, timeLeftMs })
  t.same(sent, ['abcdefgh', 'abcd', 'efgh', 'ab', 'cd'], 'or once it is over')
})

t.test('a half is sent once; the whole may be sent again', async (t) => {
  const parts: (BatchPart | undefined)[] = []
  await runBisecting(items('a', 'b'), {
    run: async (part, options) => {
      parts.push(options)
      if (part.some(({ key }) => key === 'a')) throw new CacheError('row-locked', 'a conflict')
      return new Map()
    },
  })
  t.same(parts, [undefined, {}, {}])
})

t.test('which rows are locked is asked only after an error that says that one is', async (t) => {
  let asked = 0
  const results = await runBisecting(items('a', 'b'), {
    run: async (part) => {
      if (part.some(({ key }) => key === 'a')) throw new CacheError('refused', 'no')
      return new Map(part.map(({ key }) => [key, true]))
    },
    lockedOf: async () => {
      asked++
      return new Set(['b'])
    },
  })
  t.equal(asked, 0)
  t.strictSame(
    results.map(({ status }) => status),
    ['rejected', 'fulfilled'],
  )
})

t.test('if the locks cannot be asked for, or say nothing, the locked item is found by halving', async (t) => {
  const answers: Readonly<Record<string, () => Promise<ReadonlySet<string>>>> = {
    'no answer': async () => {
      throw new CacheError('store-unavailable', 'gone')
    },
    'no locks': async () => new Set(),
    'all locked': async () => new Set(['a', 'b']),
  }
  for (const [name, lockedOf] of Object.entries(answers)) {
    const results = await runBisecting(items('a', 'b'), {
      run: async (part) => {
        if (part.some(({ key }) => key === 'a')) throw new CacheError('row-locked', 'locked')
        return new Map(part.map(({ key }) => [key, key]))
      },
      lockedOf,
    })
    t.match(results, [{ reason: { code: 'row-locked' } }, { status: 'fulfilled', value: 'b' }], name)
  }
})

t.test('an error that looks like that of a locked table is one of the row if that is locked', async (t) => {
  const ofTable = new CacheError('store-locked', 'a lock')
  const results = await runBisecting(items('a', 'b'), {
    run: async (part) => {
      if (part.some(({ key }) => key === 'a')) throw ofTable
      return new Map(part.map(({ key }) => [key, key]))
    },
    lockedOf: async () => new Set(['a']),
  })
  t.match(results, [
    { reason: { code: 'row-locked', message: 'a lock', cause: ofTable } },
    { status: 'fulfilled', value: 'b' },
  ])
})

t.test('a suspended store and an unusable binding may be the problem of one item', async (t) => {
  for (const code of ['store-suspended', 'binding-unusable'] as const) {
    const results = await runBisecting(items('a', 'b'), {
      run: async (part) => {
        if (part.some(({ key }) => key === 'a')) throw new CacheError(code, 'no')
        return new Map(part.map(({ key }) => [key, key]))
      },
    })
    t.match(results, [{ reason: { code } }, { status: 'fulfilled', value: 'b' }])
  }
})

t.test('a part gets no less than 20 ms', async (t) => {
  for (const [leftMs, isSplit] of [
    [60, true],
    [59, false],
  ] as const) {
    const { parts, run } = slowRun(['a'])
    await runBisecting(items('a', 'b'), { run, timeLeftMs: () => leftMs })
    const withinMs = { withinMs: 20 }
    t.same(parts, isSplit ? [undefined, withinMs, withinMs] : [undefined], `${leftMs} ms are left`)
  }
})
