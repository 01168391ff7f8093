import t from 'tap'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'
import { CacheError, type CacheErrorCode } from '../../../../src/core/errors.js'
import { BindingCosts } from '../../../../src/postgres/bindings/binding-costs.js'
import { type AnswerRow, BoundReads, type SendBound } from '../../../../src/postgres/bindings/bound-reads.js'
import type { BoundTable } from '../../../../src/postgres/bindings/bound-source.js'
import { DrivenClock } from '../../../support/driven-clock.js'

const items: BoundTable = {
  pattern: new KeyPattern('item:{id}'),
  fingerprint: 'f',
  table: 'public.item',
  keyColumns: [{ name: 'id', type: 'integer' }],
  columns: undefined,
  columnTypes: ['integer'],
  viaOutbox: false,
  fault: undefined,
}
const faulty: BoundTable = {
  ...items,
  fault: { says: 'public.item was dropped', cure: 'a cure', shown: 'its table was dropped' },
}
const maxReadBytes = 1_000

/** Reads whose statements are answered with these rows, or fail with this code. */
function reads(answer: readonly Partial<AnswerRow>[] | CacheErrorCode) {
  const state = { outdated: 0, sent: [] as { readonly text: string; readonly values: readonly unknown[] }[] }
  const send: SendBound = async (text, values) => {
    state.sent.push({ text, values })
    if (typeof answer === 'string') throw new CacheError(answer, 'relation public.item does not exist')
    return answer as readonly AnswerRow[]
  }
  const clock = new DrivenClock()
  const costs = new BindingCosts(clock)
  const bound = new BoundReads({ outdated: () => state.outdated++, costs }, maxReadBytes, clock)
  return {
    state,
    clock,
    costs,
    read: (keys: readonly string[], table = items) =>
      bound.read(
        'public',
        table,
        keys.map((key) => ({ key })),
        { send, roomBytes: maxReadBytes },
      ),
    versions: (keys: readonly string[], table = items) =>
      bound.versions('public', table, keys, { send, epoch: 'e' }),
  }
}

const nothing = { key: null, epoch: 'e' } as Partial<AnswerRow>
const row = (key: string) =>
  ({ key, version: 'v', epoch: 'e', value: '{}', withheld: null }) as Partial<AnswerRow>

t.test('a key that no row can have is not sent, and has no row', async (t) => {
  const { state, read } = reads([row('item:1')])
  const answers = await read(['item:1', 'item:01', 'item:x'])
  t.same(state.sent.at(-1)?.values.slice(0, 3), ['item:1', '1', ''], 'one key is left, so it is read alone')
  t.match(answers.get('item:1'), { version: 'v', value: '{}' })
  t.match(answers.get('item:01'), { version: undefined, epoch: 'e' })
})

t.test('a version that is held stands beside its key', async (t) => {
  const { state, read } = reads([nothing])
  await read(['item:1', 'item:2'])
  t.same(state.sent.at(-1)?.values, [['item:1', 'item:2'], ['1', '2'], ['', ''], maxReadBytes])
})

t.test('the reads of a binding are counted, with their time', async (t) => {
  const clock = new DrivenClock()
  const costs = new BindingCosts(clock)
  const bound = new BoundReads({ outdated: () => undefined, costs }, maxReadBytes, clock)
  const send: SendBound = async () => {
    clock.advance(3)
    return [nothing as AnswerRow]
  }
  const read = (...keys: string[]) => {
    const wanted = keys.map((key) => ({ key }))
    return bound.read('public', items, wanted, { send, roomBytes: maxReadBytes })
  }
  await read('item:1', 'item:2')
  await read('item:3')
  t.same(costs.of('item:{id}'), { statements: 2, keys: 3, totalMs: 6 })
  t.same(costs.of('other:{id}'), { statements: 0, keys: 0, totalMs: 0 })
})

t.test('a table with a fault is not read', async (t) => {
  const { state, read } = reads([nothing])
  await t.rejects(read(['item:1'], faulty), {
    code: 'binding-unusable',
    explanation: 'The key is bound to a table by item:{id}, and its table was dropped',
  })
  t.same(state.sent, [])
  t.equal(state.outdated, 0, 'the last inspection has found it')
})

t.test('a statement that fails for the table asks for an inspection', async (t) => {
  for (const code of ['store-failed', 'forbidden', 'store-not-ready'] as const) {
    const { state, read } = reads(code)
    const error = await read(['item:1']).catch((error: CacheError) => error)
    t.match(error, { code: 'binding-unusable', isOfWholeStatement: true }, code)
    t.notMatch((error as CacheError).explanation, /public/, 'no object of the database is named')
    t.equal(state.outdated, 1, code)
  }
})

t.test('an error of the database is not one of the table', async (t) => {
  for (const code of ['store-unavailable', 'store-busy'] as const) {
    const { state, read, versions } = reads(code)
    await t.rejects(read(['item:1']), { code })
    if (code === 'store-unavailable')
      await t.rejects(versions(['item:1']), { code }, 'the comparison has to be repeated')
    t.equal(state.outdated, 0, code)
  }
})

t.test(
  'versions that are not found in time are unknown, and are not asked for again for a while',
  async (t) => {
    for (const code of ['store-busy', 'store-locked'] as const) {
      const { state, clock, versions } = reads(code)
      const unknown = [['item:1', '?']]
      t.same([...((await versions(['item:1'])) ?? [])], unknown)
      t.same([...((await versions(['item:1'])) ?? [])], unknown)
      t.equal(state.sent.length, 1, 'one slow statement for all the entries of the binding')
      clock.advance(30_000)
      await versions(['item:1'])
      t.equal(state.sent.length, 2)
    }
  },
)

t.test('a server that does not answer has told nothing about a binding', async (t) => {
  const silent = new CacheError('store-busy', 'no answer', { cause: new Error('Query read timeout') })
  const bound = new BoundReads(
    { outdated: () => undefined, costs: new BindingCosts(new DrivenClock()) },
    maxReadBytes,
    new DrivenClock(),
  )
  const send: SendBound = () => Promise.reject(silent)
  await t.rejects(bound.versions('public', items, ['item:1'], { send, epoch: 'e' }), { code: 'store-busy' })
})

t.test('an error of one row does not fail others', async (t) => {
  const error = new CacheError('refused', 'division by zero')
  const bound = new BoundReads(
    {
      outdated: () => t.fail('no other inspection would find anything'),
      costs: new BindingCosts(new DrivenClock()),
    },
    maxReadBytes,
    new DrivenClock(),
  )
  const read = bound.read('public', items, [{ key: 'item:1' }], {
    send: () => Promise.reject(error),
    roomBytes: maxReadBytes,
  })
  await t.rejects(read, {
    code: 'binding-unusable',
    isOfWholeStatement: false,
    explanation: /its row cannot be read/,
  })
})

t.test('versions of a table that cannot be read are those of no row, and of no absence', async (t) => {
  for (const { versions } of [
    reads('store-failed'),
    { versions: (keys: string[]) => reads([]).versions(keys, faulty) },
  ])
    t.same(
      [...((await versions(['item:1', 'item:2'])) ?? [])],
      [
        ['item:1', '?'],
        ['item:2', '?'],
      ],
    )
})

t.test('there are no versions in another epoch, and none of a key without a row', async (t) => {
  t.equal(await reads([]).versions(['item:1']), undefined)
  t.same([...((await reads([nothing]).versions(['item:1'])) ?? ['?'])], [])
  const { state, versions } = reads([{ key: 'item:1', version: 'v' } as Partial<AnswerRow>])
  t.same([...((await versions(['item:1'])) ?? [])], [['item:1', 'v']])
  t.same(state.sent.at(-1)?.values, [['item:1'], ['1'], 'e'])
})
