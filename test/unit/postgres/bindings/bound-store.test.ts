import { mock } from 'node:test'
import t from 'tap'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'
import type { Wanted, Write } from '../../../../src/core/ports.js'
import { BoundStore, type BoundStoreParts } from '../../../../src/postgres/bindings/bound-store.js'

/** A store whose bindings are these, or are asked for, over entries that note what they are asked. */
function boundStore(current: readonly never[] | undefined, stalls?: 'ask' | 'read') {
  const state = { asked: 0, wanted: [] as readonly Wanted[] }
  const never = new Promise<never>(() => undefined)
  const read = async (wanted: readonly Wanted[]) => {
    state.wanted = wanted
    return stalls === 'read' ? never : new Map()
  }
  const store = new BoundStore({
    entries: { read, readAtOnce: read, write: async () => new Map() },
    bindings: {
      current,
      ask: async () => {
        state.asked++
        return stalls === 'ask' ? never : []
      },
    },
    attempts: { run: (attempt: () => Promise<unknown>) => attempt() },
    timeoutMs: 2_000,
    maxReadBytes: 1_000,
  } as unknown as BoundStoreParts)
  return { store, state }
}

const write = { key: 'k', value: '1' } as unknown as Write
const held = (version: string): Wanted => ({ key: 'k', held: { version, epoch: 'e', value: '1' } })

t.test('the version of a row is not sent to the entries, whose versions are numbers', async (t) => {
  const { store, state } = boundStore([])
  const row = held('0123456789abcdef0123456789abcdef')
  const entry = held('16777216')
  await store.read([row, entry])
  t.same(state.wanted, [{ key: 'k' }, entry])
  await store.readAtOnce([row])
  t.same(state.wanted, [{ key: 'k' }])
})

t.test('bindings that no session has confirmed are asked for before each statement', async (t) => {
  const known = boundStore([])
  await known.store.read([{ key: 'k' }])
  await known.store.write([write])
  t.equal(known.state.asked, 0)
  const unknown = boundStore(undefined)
  await unknown.store.read([{ key: 'k' }])
  await unknown.store.read([{ key: 'k' }])
  await unknown.store.write([write])
  t.equal(unknown.state.asked, 3)
})

for (const [stalls, limitMs, message] of [
  ['ask', 1_000, /did not tell its bindings/],
  ['read', 4_000, /did not answer in time after that/],
] as const)
  t.test(`a read that asks for the bindings first has no more time than others: ${stalls}`, async (t) => {
    mock.timers.enable({ apis: ['setTimeout'] })
    t.teardown(() => mock.timers.reset())
    const { store } = boundStore(undefined, stalls)
    let failure: unknown
    const read = store.read([{ key: 'k' }]).catch((error: unknown) => {
      failure = error
    })
    await new Promise(setImmediate)
    mock.timers.tick(limitMs - 1)
    await new Promise(setImmediate)
    t.equal(failure, undefined)
    mock.timers.tick(1)
    await read
    t.match(failure, { code: 'store-busy', message })
  })

t.test('the versions of rows are not those of the entries', async (t) => {
  const asked: string[] = []
  const fault = { says: 'gone', cure: 'none', shown: 'gone' }
  const store = new BoundStore({
    entries: {
      versions: async (keys: readonly string[]) => {
        asked.push(...keys)
        return new Map([['plain', '7']])
      },
    },
    bindings: {
      current: [{ pattern: new KeyPattern('row:{id}'), keyColumns: [], columnTypes: [], fault }],
      outdated: () => undefined,
    },
    clock: { now: () => 0 },
    schema: { get: async () => 'public' },
    timeoutMs: 2_000,
    maxReadBytes: 1_000,
  } as unknown as BoundStoreParts)
  const versions = await store.versions(['row:1', 'plain'], '1-0')
  t.same(asked, ['plain'])
  t.same(
    [...(versions ?? [])],
    [
      ['row:1', '?'],
      ['plain', '7'],
    ],
  )
})
