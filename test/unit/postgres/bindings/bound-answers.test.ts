import t from 'tap'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'
import { CacheError } from '../../../../src/core/errors.js'
import type { Wanted } from '../../../../src/core/ports.js'
import { BindingCosts } from '../../../../src/postgres/bindings/binding-costs.js'
import { type AnswerRow, BoundReads, type SendBound } from '../../../../src/postgres/bindings/bound-reads.js'
import type { BoundQuery, BoundSource, BoundTable } from '../../../../src/postgres/bindings/bound-source.js'
import { DrivenClock } from '../../../support/driven-clock.js'

const keys = {
  pattern: new KeyPattern('item:{id}'),
  fingerprint: 'f',
  keyColumns: [{ name: 'id', type: 'integer' }],
  columnTypes: ['integer'],
  viaOutbox: true,
  fault: undefined,
} as const
const table: BoundTable = { ...keys, table: 'public.item', columns: undefined }
const query: BoundQuery = { ...keys, query: 'public.f', isMany: false, ttlMs: 5_000 }
const maxReadBytes = 1_000

/** Reads whose statements are answered with these rows, or fail with this error. */
function readsOf(answer: readonly object[] | Error) {
  const clock = new DrivenClock()
  const state = { outdated: 0, sent: [] as { text: string; values: readonly unknown[] }[], clock }
  const send: SendBound = async (text, values) => {
    state.sent.push({ text, values })
    if (answer instanceof Error) throw answer
    return answer as readonly AnswerRow[]
  }
  const costs = new BindingCosts(clock)
  const reads = new BoundReads({ outdated: () => state.outdated++, costs }, maxReadBytes, clock)
  return {
    state,
    read: (
      bound: BoundSource,
      wanted: readonly Wanted[],
      { roomBytes = maxReadBytes, schema = 'public' } = {},
    ) => reads.read(schema, bound, wanted, { send, roomBytes }),
    versions: () => reads.versions('public', table, ['item:1'], { send, epoch: 'e' }),
  }
}

const row = { key: 'item:1', version: 'v', epoch: 'e', value: '{}', withheld: null }
const wanted = [{ key: 'item:1' }]

t.test('a row that is held already comes without its value', async (t) => {
  const { read, state } = readsOf([{ ...row, value: null }])
  const answers = await read(table, [{ key: 'item:1', held: { version: 'v', epoch: 'e', value: '{}' } }])
  t.strictSame(answers.get('item:1'), {
    ...{ key: 'item:1', version: 'v', epoch: 'e', value: undefined },
    ...{ remainingMs: undefined, isComparable: true, viaOutbox: true },
  })
  t.strictSame(state.sent[0]?.values, ['item:1', '1', 'v'])
})

t.test('a row whose value is withheld tells why', async (t) => {
  const { read } = readsOf([{ ...row, value: null, withheld: 'too-large' }])
  t.strictSame((await read(table, wanted)).get('item:1'), {
    ...{ key: 'item:1', version: 'v', epoch: 'e', value: undefined, withheld: 'too-large' },
  })
})

t.test('an answer of a query, and the lack of one, expire; those of a table do not', async (t) => {
  for (const [bound, remainingMs] of [
    [query, 5_000],
    [table, undefined],
  ] as const) {
    const answers = await readsOf([row]).read(bound, [...wanted, { key: 'item:2' }])
    t.strictSame(answers.get('item:1'), {
      ...{ key: 'item:1', version: 'v', epoch: 'e', value: '{}' },
      ...{ remainingMs, isComparable: true, viaOutbox: true },
    })
    t.strictSame(answers.get('item:2'), { version: undefined, epoch: 'e', viaOutbox: true, remainingMs })
  }
})

t.test('one row is not read beyond the room that is left', async (t) => {
  const { read, state } = readsOf([row])
  await read(table, wanted, { roomBytes: 400 })
  t.strictSame(state.sent[0]?.values, [['item:1'], ['1'], [''], 400])
})

t.test('a table that was moved to another schema is read there', async (t) => {
  const { read, state } = readsOf([row])
  for (const schema of ['public', 'elsewhere', 'elsewhere']) await read(table, wanted, { schema })
  const [before, after, again] = state.sent.map(({ text }) => text)
  t.notMatch(before, /elsewhere/)
  t.match(after, /elsewhere/)
  t.equal(again, after)
})

t.test('an error says if it concerns the key alone, and what is bound', async (t) => {
  const cannotBeRead = (what: string) => `its ${what} cannot be read as it was when it was last inspected`
  for (const [bound, code, isWhole, shown, outdated] of [
    [table, 'refused', false, 'its row cannot be read', 0],
    [table, 'refused', true, cannotBeRead('table'), 1],
    [table, 'store-failed', false, cannotBeRead('table'), 1],
    [query, 'store-failed', false, 'its query fails for this key', 0],
    [query, 'store-failed', true, cannotBeRead('query'), 1],
  ] as const) {
    const error = new CacheError(code, 'm', { isOfWholeStatement: isWhole })
    const { read, state } = readsOf(error)
    await t.rejects(read(bound, wanted), {
      code: 'binding-unusable',
      message: 'item:{id}: m',
      explanation: `The key is bound to a ${bound === query ? 'query' : 'table'} by item:{id}, and ${shown}`,
      isOfWholeStatement: outdated === 1,
      cause: error,
    })
    t.equal(state.outdated, outdated, `${code}, ${isWhole}`)
  }
})

t.test('versions of a table with a locked row are unknown, and asked for again after 30 s', async (t) => {
  const { versions, state } = readsOf(new CacheError('row-locked', 'm'))
  const counts = []
  for (const ms of [0, 29_999, 1]) {
    state.clock.advance(ms)
    t.strictSame([...((await versions()) ?? [])], [['item:1', '?']])
    counts.push(state.sent.length)
  }
  t.strictSame(counts, [1, 1, 2])
})
