import t from 'tap'
import type { Entry, Withheld } from '../../../../src/core/entry.js'
import { CacheError } from '../../../../src/core/errors.js'
import type { ReadResult } from '../../../../src/core/reads/read-result.js'
import { liveSidecar, type ModelSidecar, maxStalenessMs } from '../../../support/model-sidecar.js'
import { Random } from '../../../support/random.js'
import { turn } from '../../../support/turn.js'

const admitAll = () => undefined

function keysUpTo(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `k${index}`)
}

/** Stores a value for each key, without the sidecar. */
function fill({ store }: ModelSidecar, keys: readonly string[]): void {
  for (const key of keys) store.setBySql(key, JSON.stringify(`value of ${key}`))
}

function reads({ store }: ModelSidecar): readonly (readonly string[])[] {
  return store.statements.filter(({ operation }) => operation === 'read').map(({ keys }) => keys)
}

function valuesOf(results: readonly ReadResult[]): unknown[] {
  return results.map(({ value }) => value && JSON.parse(value))
}

/** Lets each statement return this many values; the others are postponed. */
function limitValues({ store }: ModelSidecar, count: number): void {
  const read = store.readAtOnce.bind(store)
  store.readAtOnce = async (wanted) => {
    const answers: Map<string, unknown> = await read(wanted)
    const found = [...answers].filter(([, answer]) => (answer as Partial<Entry>).version !== undefined)
    for (const [key, answer] of found.slice(count)) {
      const withheld: Withheld = { ...(answer as Withheld), value: undefined, withheld: 'postponed' }
      answers.set(key, withheld)
    }
    return answers as Awaited<ReturnType<typeof read>>
  }
}

t.test('hits come from memory, and all misses from one statement, in the order of the request', async (t) => {
  const sidecar = await liveSidecar({ capacity: 2_000 })
  const keys = keysUpTo(1_000)
  fill(
    sidecar,
    keys.filter((_, index) => index % 3 !== 0),
  )
  await sidecar.cache.get('k1')
  await sidecar.cache.get('k2')
  const before = reads(sidecar).length
  const results = await sidecar.cache.getMany(keys, {}, admitAll)
  const wanted = keys.map((key, index) => (index % 3 === 0 ? undefined : `value of ${key}`))
  t.strictSame(valuesOf(results), wanted)
  const [statement = [], ...others] = reads(sidecar).slice(before)
  t.strictSame(others, [])
  t.strictSame(statement, ['k0', ...keys.slice(3)])
  t.match(results[1], { forwarded: undefined })
  t.match(results[4], { forwarded: 'miss', stored: true })
  t.match(await sidecar.cache.getMany(['k4', 'k1'], {}, admitAll), [{ ttlMs: Number }, { ttlMs: Number }])
  t.equal(reads(sidecar).length, before + 1, 'the values are held now')
})

t.test('a strong read of any keys is answered from exactly one statement', async (t) => {
  const random = new Random(20)
  for (let round = 0; round < 30; round++) {
    const sidecar = await liveSidecar({ capacity: 2_000 })
    const keys = keysUpTo(1 + random.integer(0, 999))
    fill(
      sidecar,
      keys.filter(() => random.chance(0.75)),
    )
    await sidecar.cache.getMany(
      keys.filter(() => random.chance(0.3)),
      {},
      admitAll,
    )
    // Reads of others, of the same keys, on their way at the same moment.
    const others = keys.filter(() => random.chance(0.1)).map((key) => sidecar.cache.get(key))
    const before = reads(sidecar).length
    const reading = sidecar.cache.getMany(keys, { strong: true }, admitAll)
    for (const key of keys) if (random.chance(0.2)) sidecar.store.setBySql(key, '"changed"')
    const stored = keys.map((key) => sidecar.store.valueOf(key))
    const results = await reading
    await Promise.all(others)
    t.strictSame(
      results.map(({ value }) => value),
      stored,
    )
    const whole = reads(sidecar)
      .slice(before)
      .filter((statement) => keys.every((key) => statement.includes(key)))
    const parts = reads(sidecar)
      .slice(before)
      .filter((statement) => !keys.every((key) => statement.includes(key)))
    t.ok(whole.length >= 1)
    t.ok(parts.flat().length <= others.length, 'other statements have the keys of other reads only')
  }
})

t.test('the statement of a strong read is not split after an error', async (t) => {
  for (const code of ['store-failed', 'store-busy', 'row-locked', 'refused'] as const) {
    const sidecar = await liveSidecar()
    fill(sidecar, ['a', 'b', 'c', 'd'])
    sidecar.store.fail('read', code)
    const reading = sidecar.cache.getMany(['a', 'b', 'c', 'd'], { strong: true }, admitAll)
    if (code === 'row-locked') t.equal((await reading).length, 4, 'sent again as a whole')
    else await t.rejects(reading, { code })
    t.ok(
      reads(sidecar).every(({ length }) => length === 4),
      code,
    )
  }
})

t.test('any other statement is split, so that one bad row fails alone', async (t) => {
  const sidecar = await liveSidecar()
  fill(sidecar, ['a', 'b', 'c', 'd'])
  sidecar.store.fail('read', 'store-failed')
  t.strictSame(valuesOf(await sidecar.cache.getMany(['a', 'b'], {}, admitAll)), ['value of a', 'value of b'])
  t.strictSame(reads(sidecar), [['a', 'b'], ['a'], ['b']])
})

t.test('values for which a statement has no room are read by the next one', async (t) => {
  const sidecar = await liveSidecar()
  fill(sidecar, ['a', 'b', 'c'])
  limitValues(sidecar, 1)
  const results = await sidecar.cache.getMany(['a', 'none', 'b', 'c'], {}, admitAll)
  t.strictSame(valuesOf(results), ['value of a', undefined, 'value of b', 'value of c'])
  t.strictSame(reads(sidecar), [['a', 'none', 'b', 'c'], ['b', 'c'], ['c']])
})

t.test('a strong read for which one statement has no room is refused', async (t) => {
  const sidecar = await liveSidecar()
  fill(sidecar, ['a', 'b', 'c'])
  limitValues(sidecar, 2)
  await t.rejects(sidecar.cache.getMany(['a', 'b', 'c'], { strong: true }, admitAll), {
    code: 'too-large-together',
  })
  t.equal(reads(sidecar).length, 1)
  t.match(await sidecar.cache.getMany(['a', 'b'], { strong: true }, admitAll), [
    { forwarded: 'request' },
    { forwarded: 'request' },
  ])
})

t.test('a request without room for its values is given up, and not the reads that joined it', async (t) => {
  const sidecar = await liveSidecar()
  fill(sidecar, ['a', 'b', 'c', 'd'])
  limitValues(sidecar, 1)
  let admitted = 0
  const admit = ({ value }: ReadResult) => {
    admitted += value?.length ?? 0
    if (admitted > 10) throw new Error('no room')
  }
  const many = sidecar.cache.getMany(['a', 'b', 'c'], {}, admit)
  const joined = sidecar.cache.get('c')
  const joinedToo = sidecar.cache.getMany(['b', 'd'], {}, admitAll)
  await t.rejects(many, { message: 'no room' })
  t.match(await joined, { value: '"value of c"', collapsed: undefined })
  t.strictSame(valuesOf(await joinedToo), ['value of b', 'value of d'])
  await turn()
  const kept = admitted
  await turn()
  t.equal(admitted, kept, 'what arrives later is not admitted')
})

t.test('nothing is asked if there is no room for the values in memory', async (t) => {
  const sidecar = await liveSidecar()
  fill(sidecar, ['a', 'b'])
  await sidecar.cache.get('a')
  const before = reads(sidecar).length
  const refuse = () => {
    throw new Error('no room')
  }
  await t.rejects(sidecar.cache.getMany(['a', 'b'], {}, refuse), { message: 'no room' })
  t.equal(reads(sidecar).length, before)
})

t.test('a value that alone is too large is named', async (t) => {
  const sidecar = await liveSidecar()
  fill(sidecar, ['a', 'b'])
  const read = sidecar.store.readAtOnce.bind(sidecar.store)
  sidecar.store.readAtOnce = async (wanted) => {
    const answers: Map<string, unknown> = await read(wanted)
    answers.set('b', { ...(answers.get('b') as object), value: undefined, withheld: 'too-large' })
    return answers as Awaited<ReturnType<typeof read>>
  }
  await t.rejects(sidecar.cache.getMany(['a', 'b'], {}, admitAll), { code: 'too-large', key: 'b' })
})

t.test(
  'a key whose binding cannot be used is named, unless no key of the statement can be read',
  async (t) => {
    for (const [isOfWholeStatement, key] of [
      [false, 'a'],
      [true, undefined],
    ] as const) {
      const sidecar = await liveSidecar()
      const error = new CacheError('binding-unusable', 'no table', { isOfWholeStatement })
      sidecar.store.readAtOnce = () => Promise.reject(error)
      await t.rejects(sidecar.cache.getMany(['a', 'b'], {}, admitAll), { code: 'binding-unusable', key })
    }
  },
)

t.test('during an outage, a request is answered if memory has all entries', async (t) => {
  const sidecar = await liveSidecar()
  fill(sidecar, ['a', 'b'])
  await sidecar.cache.getMany(['a'], {}, admitAll)
  sidecar.store.stop()
  sidecar.feed.lose()
  sidecar.clock.advance(maxStalenessMs + 1)
  t.match(await sidecar.cache.getMany(['a'], {}, admitAll), [{ value: '"value of a"', stale: 'unproven' }])
  await t.rejects(sidecar.cache.getMany(['a', 'b'], {}, admitAll), CacheError)
  await t.rejects(sidecar.cache.getMany(['a'], { strong: true }, admitAll), CacheError)
})
