import t from 'tap'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'
import type { StoredEntry } from '../../../../src/core/entry.js'
import { CacheError } from '../../../../src/core/errors.js'
import type { BatchPart, Wanted, Write } from '../../../../src/core/ports.js'
import { BindingCosts } from '../../../../src/postgres/bindings/binding-costs.js'
import { BoundStore, type BoundStoreParts } from '../../../../src/postgres/bindings/bound-store.js'
import type { EntryAnswers } from '../../../../src/postgres/store/entry-reads.js'
import { DrivenClock } from '../../../support/driven-clock.js'

const rows = {
  pattern: new KeyPattern('row:{id}'),
  fingerprint: 'f',
  table: 'public.item',
  keyColumns: [{ name: 'id', type: 'integer' }],
  columnTypes: ['integer'],
  viaOutbox: false,
  columns: undefined,
  fault: undefined,
}

/** A value of 600 bytes. */
const value = JSON.stringify('x'.repeat(598))

interface Sent {
  readonly from: string
  readonly values: readonly unknown[]
  readonly withinMs?: number | undefined
}

/** A store in which the keys `row:{id}` are bound, with what its sources were asked. */
function boundStore({
  isKnown = true,
  rowsFail,
  epoch = 'e',
}: {
  isKnown?: boolean
  rowsFail?: Error
  epoch?: string
} = {}) {
  const sent: Sent[] = []
  const written: string[] = []
  const state = { attempts: 0, reached: 0, explained: 0, ask: async (): Promise<readonly object[]> => [rows] }
  const answersTo = (wanted: readonly Wanted[]): EntryAnswers =>
    new Map(
      wanted.map(({ key }) => [key, { key, version: '7', epoch: 'e', value } as unknown as StoredEntry]),
    )
  const readRows = async (from: string, values: readonly unknown[], withinMs?: number) => {
    sent.push({ from, values, withinMs })
    if (rowsFail) throw rowsFail
    return [{ key: 'row:1', version: 'v', epoch, value, withheld: null }]
  }
  const writes = async (items: readonly { readonly key: string }[]) => {
    written.push(...items.map(({ key }) => key))
    return new Map()
  }
  const store = new BoundStore({
    entries: {
      readIn: async (_send: unknown, wanted: readonly Wanted[]) => {
        sent.push({ from: 'entries', values: wanted.map(({ key }) => key) })
        return answersTo(wanted)
      },
      read: async (wanted: readonly Wanted[], part?: BatchPart) => {
        sent.push({ from: 'entries', values: wanted.map(({ key }) => key), withinMs: part?.withinMs })
        return answersTo(wanted)
      },
      versions: async (keys: readonly string[], at: string) =>
        at === 'e' ? new Map(keys.map((key) => [key, '7'])) : undefined,
      write: writes,
      writeIf: (item: { readonly key: string }) => writes([item]),
      remove: (keys: readonly string[]) => writes(keys.map((key) => ({ key }))),
    },
    bindings: {
      current: isKnown ? [rows] : undefined,
      ask: () => state.ask(),
      outdated: () => undefined,
      costs: new BindingCosts(new DrivenClock()),
    },
    database: {
      read: (_text: string, values: unknown[], withinMs?: number) => readRows('rows', values, withinMs),
      snapshot: (
        run: (send: (text: string, values: unknown[]) => Promise<readonly object[]>) => unknown,
        withinMs?: number,
      ) => run((_text, values) => readRows('rows', values, withinMs)),
    },
    attempts: {
      run: (attempt: () => Promise<unknown>) => {
        state.attempts++
        return attempt()
      },
      reached: () => state.reached++,
    },
    clock: new DrivenClock(),
    schema: {
      get: async () => 'public',
      explain: (error: unknown) => {
        state.explained++
        throw error
      },
    },
    timeoutMs: 2_000,
    maxReadBytes: 1_000,
  } as unknown as BoundStoreParts)
  return { store, sent, written, state }
}

const wanted = (...keys: string[]) => keys.map((key) => ({ key }))

t.test(
  'the values of one snapshot have the room of one statement together, in any order of the keys',
  async (t) => {
    for (const keys of [
      ['plain', 'row:1'],
      ['row:1', 'plain'],
    ]) {
      const { store, sent } = boundStore()
      const answers = await store.readAtOnce(wanted(...keys), { withinMs: 70 })
      t.strictSame([...answers.keys()].sort(), ['plain', 'row:1'])
      t.strictSame(
        sent.map(({ from, values }) => [from, values.at(-1)]),
        [
          ['entries', 'plain'],
          ['rows', 400],
        ],
        keys.join(),
      )
      t.equal(sent[1]?.withinMs, 70)
    }
  },
)

t.test('rows are read with the time limit of the request, and with retries', async (t) => {
  const { store, sent, state } = boundStore()
  t.match((await store.read(wanted('row:1', 'plain'), { withinMs: 70 })).get('row:1'), { version: 'v' })
  t.strictSame(sent.map(({ from, withinMs }) => [from, withinMs]).sort(), [
    ['entries', 70],
    ['rows', 70],
  ])
  t.equal(state.attempts, 1)
  const error = new CacheError('store-busy', 'm')
  for (const read of ['read', 'readAtOnce'] as const) {
    const failing = boundStore({ rowsFail: error })
    await t.rejects(failing.store[read](wanted('row:1', 'plain')), error)
    t.equal(failing.state.explained, 1, read)
  }
})

t.test(
  'versions of rows are sent like those of entries: without retries, and they close the breaker',
  async (t) => {
    const { store, state } = boundStore()
    const versions = await store.versions(['row:1', 'plain'], 'e')
    t.strictSame(Object.fromEntries(versions ?? []), { 'row:1': 'v', plain: '7' })
    t.match(state, { attempts: 0, reached: 1 })
    t.equal(
      await store.versions(['row:1', 'plain'], 'another'),
      undefined,
      'there are none in another history',
    )
  },
)

t.test('bound keys are not written, even if the bindings have to be asked for first', async (t) => {
  for (const isKnown of [true, false]) {
    const { store, written } = boundStore({ isKnown })
    const write = { key: 'row:1', value: '1' } as Write
    const refused = { code: 'bound-key', key: 'row:1' }
    await t.rejects(store.write([{ ...write, key: 'plain' }, write]), refused)
    await t.rejects(store.remove(['plain', 'row:1']), refused)
    await t.rejects(store.writeIf({ ...write, condition: {} }), refused)
    t.strictSame(written, [])
    await store.write([{ ...write, key: 'a' }])
    await store.remove(['b'])
    await store.writeIf({ ...write, key: 'c', condition: {} })
    t.strictSame(written, ['a', 'b', 'c'])
  }
})

t.test('a failure to tell the bindings is that of the read', async (t) => {
  const { store, state } = boundStore({ isKnown: false })
  const error = new CacheError('store-unavailable', 'm')
  state.ask = () => Promise.reject(error)
  await t.rejects(store.read(wanted('plain')), error)
  t.equal(state.attempts, 1, 'it is asked for like a statement of a request')
})
