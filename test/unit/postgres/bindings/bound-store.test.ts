import t from 'tap'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'
import type { Wanted, Write } from '../../../../src/core/ports.js'
import { BoundStore, type BoundStoreParts } from '../../../../src/postgres/bindings/bound-store.js'

/** A store whose bindings are these, or are asked for, over entries that note what they are asked. */
function boundStore(current: readonly never[] | undefined) {
  const state = { asked: 0, wanted: [] as readonly Wanted[] }
  const read = async (wanted: readonly Wanted[]) => {
    state.wanted = wanted
    return new Map()
  }
  const store = new BoundStore({
    entries: { read, readAtOnce: read, write: async () => new Map() },
    bindings: {
      current,
      ask: async () => {
        state.asked++
        return []
      },
    },
    attempts: { run: (attempt: () => Promise<unknown>) => attempt() },
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
    schema: { get: async () => 'public' },
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
