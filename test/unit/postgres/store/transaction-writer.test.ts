import t from 'tap'
import { CacheError } from '../../../../src/core/errors.js'
import type { ConditionalWrite } from '../../../../src/core/ports.js'
import type { ConditionalRow } from '../../../../src/postgres/store/conditional-statement.js'
import {
  PostgresTransactionWriter,
  type PostgresTransactionWriterParts,
} from '../../../../src/postgres/store/transaction-writer.js'

type Rows = readonly ConditionalRow[]
interface Sent {
  readonly keys: readonly string[]
  /** Tags of the conditions: `match`, and then `noneMatch`. */
  readonly tags: readonly unknown[]
  readonly withinMs: number
}

/** A writer whose database answers each statement by its number, and the keys whose leases were revoked. */
function writerOf(answer: (sent: Sent, count: number) => Rows) {
  const sent: (Sent & { readonly isCommitted: boolean })[] = []
  const revoked: unknown[] = []
  const decide = async (
    _text: string,
    values: readonly unknown[],
    commits: (rows: Rows) => boolean,
    withinMs: number,
  ) => {
    const one = { keys: values[0] as string[], tags: values.slice(5), withinMs }
    let rows: Rows | undefined
    try {
      rows = answer(one, sent.length)
      return rows
    } finally {
      sent.push({ ...one, isCommitted: rows !== undefined && commits(rows) })
    }
  }
  const writer = new PostgresTransactionWriter({
    database: { decide, write: async (_text: string, values: unknown[]) => void revoked.push(...values) },
    attempts: { run: (attempt: () => Promise<unknown>) => attempt() },
    schema: {
      get: async () => 'public',
      explain: (error: unknown) => {
        throw error
      },
    },
    withinMs: 1_234,
  } as unknown as PostgresTransactionWriterParts)
  return { writer, sent, revoked }
}

const write = (key: string, more: Partial<ConditionalWrite> = {}) =>
  ({ key, value: '1', groups: [], condition: { match: ['5-e'] }, ...more }) as unknown as ConditionalWrite
const written = (key: string, more: Partial<ConditionalRow> = {}) =>
  ({
    key,
    epoch: 'e',
    before: null,
    is_met: true,
    is_present: false,
    is_written: true,
    version: '7',
    remaining_ms: null,
    is_as_sent: true,
    are_leased: false,
    ...more,
  }) as unknown as ConditionalRow
const notWritten = { is_written: false, key: null, version: null } as unknown as Partial<ConditionalRow>

t.test('writes whose conditions are met are committed together', async (t) => {
  const { writer, sent } = writerOf(({ keys }) => keys.map((key) => written(key)))
  const answers = await writer.writeAll([write('a'), write('b')])
  t.match(answers, [
    { isMet: true, written: { version: '7' } },
    { isMet: true, written: { version: '7' } },
  ])
  t.strictSame(sent, [
    {
      keys: ['a', 'b'],
      tags: [
        ['{"5-e"}', '{"5-e"}'],
        [null, null],
      ],
      withinMs: 1_234,
      isCommitted: true,
    },
  ])
})

t.test('if one condition is not met, nothing is committed', async (t) => {
  const { writer, sent } = writerOf(() => [written('a'), written('b', { is_met: false, ...notWritten })])
  t.match(await writer.writeAll([write('a'), write('b')]), [{ isMet: true }, { isMet: false }])
  t.match(sent, [{ isCommitted: false }])
  t.equal(sent.length, 1)
})

t.test('deletes of nothing are not committed if a condition is not met', async (t) => {
  const { writer, sent } = writerOf(() => [
    written('a', notWritten),
    written('b', { is_met: false, ...notWritten }),
  ])
  const deletion = { value: undefined }
  t.match(await writer.writeAll([write('a', deletion), write('b', deletion)]), [
    { isMet: true },
    { isMet: false },
  ])
  t.match(sent, [{ isCommitted: false }])
})

t.test('a refusal names the key that the database refuses, whatever the conditions are', async (t) => {
  const refusal = new CacheError('refused', 'a check failed')
  const keys = ['a', 'b', 'c', 'bad', 'd']
  const { writer, sent } = writerOf((one, count) => {
    // A row whose condition is not met is not written, and so not judged.
    const isJudged = count === 0 || one.tags.flat().every((tag) => tag === null)
    if (isJudged && one.keys.includes('bad')) throw refusal
    return one.keys.map((key) => written(key))
  })
  const error = await writer.writeAll(keys.map((key) => write(key))).catch((error: unknown) => error)
  t.match(error, { code: 'refused', message: 'a check failed', key: 'bad' })
  t.equal((error as CacheError).cause, refusal)
  t.ok(sent.length > 1)
  t.notOk(
    sent.some(({ isCommitted }) => isCommitted),
    'the search commits nothing',
  )
})

t.test('if no write is refused alone, the refusal names no key', async (t) => {
  const refusal = new CacheError('refused', 'too many together')
  const { writer } = writerOf(({ keys }) => {
    if (keys.length > 1) throw refusal
    return [written(keys[0] ?? '')]
  })
  t.equal(await writer.writeAll([write('a'), write('b')]).catch((error: unknown) => error), refusal)
})

t.test('any other failure is thrown as it is, and so is one of the search', async (t) => {
  const failure = new CacheError('store-busy', 'm')
  const failing = writerOf(() => {
    throw failure
  })
  t.equal(await failing.writer.writeAll([write('a')]).catch((error: unknown) => error), failure)
  t.equal(failing.sent.length, 1)
  const searching = writerOf((_sent, count) => {
    throw count === 0 ? new CacheError('refused', 'm') : failure
  })
  t.equal(await searching.writer.writeAll([write('a'), write('b')]).catch((error: unknown) => error), failure)
})

t.test('a write that is left out, although its row is there, is not stored', async (t) => {
  const { writer, sent } = writerOf(() => [written('a'), written('b', { ...notWritten, is_present: true })])
  await t.rejects(writer.writeAll([write('a'), write('b')]), {
    code: 'not-stored',
    message: 'a trigger or rule left a write out',
    key: 'b',
  })
  t.match(sent, [{ isCommitted: false }])
  t.equal(sent.length, 1, 'it is not tried again')
})

t.test('a row that somebody inserts meanwhile is decided again, ten times at most', async (t) => {
  const { writer, sent } = writerOf((_sent, count) => [written('a', count < 9 ? notWritten : {})])
  t.match(await writer.writeAll([write('a')]), [{ written: { version: '7' } }])
  t.strictSame(
    sent.map(({ isCommitted }) => isCommitted),
    [...Array(9).fill(false), true],
  )
  const always = writerOf(() => [written('a', notWritten)])
  await t.rejects(always.writer.writeAll([write('a')]), { code: 'not-stored', key: 'a' })
  t.equal(always.sent.length, 10)
})

t.test('the leases of deleted keys are revoked before the deletes are committed', async (t) => {
  const deletion = write('gone', { value: undefined })
  const { writer, sent, revoked } = writerOf(() => [
    written('a'),
    written('gone', { ...notWritten, are_leased: true }),
  ])
  t.match(await writer.writeAll([write('a'), deletion]), [{ isMet: true }, { isMet: true }])
  t.strictSame(revoked, [['gone']])
  t.match(sent, [{ isCommitted: false }, { isCommitted: true }])
  t.equal(sent.length, 2)
})
