/** P12: times to live of rows, as the statements write and honour them. */
import t from 'tap'
import type { Base, Value } from '../../../src/core/entry.js'
import type { ConditionalAnswer, ConditionalWrite, SentWrite } from '../../../src/core/ports.js'
import { fingerprintIn } from '../../../src/postgres/schema/table-identity.js'
import { PostgresStore } from '../../../src/postgres/store/store.js'
import { PostgresTransactionWriter } from '../../../src/postgres/store/transaction-writer.js'
import { cacheDatabase } from '../../support/database.js'
import { storeParts } from '../../support/store-parts.js'

const { url, query } = await cacheDatabase(t)
const parts = storeParts(t, url)
const store = new PostgresStore(parts)
const transactions = new PostgresTransactionWriter({ ...parts, withinMs: 10_000 })
const hourMs = 3_600_000

t.beforeEach(async () => {
  await query('truncate cache_entries')
})

/** Remaining times of the rows in ms, by key, rounded up to minutes; null for a row that does not expire. */
async function minutesLeft(): Promise<Record<string, number | null>> {
  const { rows } = await query<{ key: string; minutes: number | null }>(
    `select key, ceil(extract(epoch from expires_at - clock_timestamp()) / 60)::int as minutes
     from cache_entries order by key`,
  )
  return Object.fromEntries(rows.map(({ key, minutes }) => [key, minutes]))
}

t.test('P12: the database counts a time to live from its own clock', async (t) => {
  const before = await query<{ at: Date }>('select clock_timestamp() as at')
  const one = await store.write([{ key: 'one', value: '1', ttlMs: 1_500 }])
  const after = await query<{ at: Date }>('select clock_timestamp() as at')
  const { rows } = await query<{ at: Date }>('select expires_at as at from cache_entries')
  const [from = 0, at = 0, to = 0] = [before, { rows }, after].map(({ rows }) => rows[0]?.at.getTime())
  t.ok(from + 1_500 <= at && at <= to + 1_500, `${from} + 1500 <= ${at} <= ${to} + 1500`)
  const remainingMs = one.get('one')?.remainingMs ?? 0
  t.ok(remainingMs > 0 && remainingMs <= 1_500, `${remainingMs} ms`)
})

t.test('P12: writes of one statement have times to live of their own', async (t) => {
  const written = await store.write([
    { key: 'a', value: '1', ttlMs: hourMs },
    { key: 'b', value: '"text"', ttlMs: 2 * hourMs },
  ])
  t.same([...written.keys()].sort(), ['a', 'b'])
  t.ok((written.get('b')?.remainingMs ?? 0) > hourMs)
  t.same(await minutesLeft(), { a: 60, b: 120 })
  const { rows } = await query('select key, value, content_type from cache_entries order by key')
  t.same(rows, [
    { key: 'a', value: '1', content_type: 'application/json' },
    { key: 'b', value: 'text', content_type: null },
  ])
})

t.test('P12: a write replaces an earlier expiry, by none as well', async (t) => {
  const keys = ['a', 'b']
  for (const [ttlMs, minutes] of [
    [hourMs, 60],
    [2 * hourMs, 120],
    [undefined, null],
  ] as const) {
    await store.write(keys.map((key) => ({ key, value: '1', ttlMs })))
    await store.write([{ key: 'one', value: '1', ttlMs }])
    t.same(await minutesLeft(), { a: minutes, b: minutes, one: minutes })
  }
})

t.test('P12: the default of the column is for writes without a time to live', async (t) => {
  await query("alter table cache_entries alter column expires_at set default now() + interval '3 hours'")
  t.teardown(() => query('alter table cache_entries alter column expires_at drop default'))
  for (const _ of ['inserted', 'updated']) {
    await store.write([{ key: 'default', value: '1' }])
    await store.write([{ key: 'own', value: '1', ttlMs: hourMs }])
    t.same(await minutesLeft(), { default: 180, own: 60 })
  }
})

t.test('P12: a delete of a row that has expired finds no entry, and removes the row', async (t) => {
  await query(
    `insert into cache_entries (key, value, expires_at) values
       ('past', 'x', now() - interval '1 second'), ('later', 'x', now() + interval '1 hour')`,
  )
  const removed = await store.remove(['past', 'later', 'absent'])
  t.match(removed.get('past'), { version: undefined, epoch: String })
  t.match(removed.get('absent'), { version: undefined, epoch: String })
  t.match(removed.get('later'), { version: /^-\d+$/ })
  t.same(await minutesLeft(), {})
})

t.test('P12: a condition takes a row that has expired for no entry', async (t) => {
  const ways: Readonly<Record<string, (write: ConditionalWrite) => Promise<ConditionalAnswer | undefined>>> =
    {
      alone: (write) => store.writeIf(write),
      'in a transaction': async (write) => (await transactions.writeAll([write]))[0],
    }
  for (const [way, send] of Object.entries(ways)) {
    await query('truncate cache_entries')
    await query(
      `insert into cache_entries (key, value, expires_at)
       select key, 'x', now() - interval '1 second' from unnest(array['written', 'deleted']) as key`,
    )
    const written = { key: 'written', value: '1' }
    const deleted = { key: 'deleted', value: undefined }
    for (const write of [written, deleted])
      t.match(await send({ ...write, condition: { match: '*' } }), { isMet: false, before: undefined }, way)
    t.match(await send({ ...written, condition: { noneMatch: '*' } }), {
      ...{ isMet: true, before: undefined, written: { version: /^\d+$/ } },
    })
    t.match(await send({ ...deleted, condition: { noneMatch: '*' } }), {
      ...{ isMet: true, before: undefined, written: undefined },
    })
    t.same(await minutesLeft(), { written: null }, 'the rows are replaced, and removed')
  }
})

const unseen: Base = { kind: 'unseen', mark: undefined }

const kept = (key: string, value: Value | undefined, more: Partial<SentWrite> = {}): SentWrite => ({
  key,
  value,
  base: unseen,
  epoch: undefined,
  mayHaveHappened: false,
  outcomes: [],
  ...more,
})

t.test('P12: pending writes have times to live of their own', async (t) => {
  await query(
    "insert into cache_entries (key, value, expires_at) values ('plain', 'x', now() + interval '1 day')",
  )
  await query("insert into cache_entries (key, value) values ('expiring', 'x')")
  const { epoch } = await store.position()
  const versions = await store.versions(['plain', 'expiring'], epoch)
  const { rows } = await query<{ fingerprint: string }>(`select ${fingerprintIn('public')} as fingerprint`)
  const held = (key: string): Partial<SentWrite> => ({
    base: {
      kind: 'held',
      version: versions?.get(key) ?? '',
      value: undefined,
      fingerprint: rows[0]?.fingerprint,
    },
    epoch,
  })
  const settled = await store.settle(
    [
      kept('plain', '1', held('plain')),
      kept('expiring', '1', { ...held('expiring'), ttlMs: hourMs }),
      kept('new', '1'),
      kept('new expiring', '1', { ttlMs: 2 * hourMs }),
    ],
    () => undefined,
  )
  t.equal(settled.size, 4)
  t.same(await minutesLeft(), { plain: null, expiring: 60, new: null, 'new expiring': 120 })
})

t.test('P9: a missing row is no change if it may have expired in this history', async (t) => {
  const { epoch } = await store.position()
  const base: Base = { kind: 'held', version: '12345678901', value: undefined }
  const settled = await store.settle(
    [
      kept('expired', '1', { base, epoch, mayHaveExpired: true }),
      kept('deleted', '1', { base, epoch }),
      kept('elsewhere', '1', { base, epoch: 'another history', mayHaveExpired: true }),
      kept('again', '1', { base, epoch, mayHaveExpired: true, mayHaveHappened: true }),
    ],
    () => undefined,
  )
  t.same([...settled.keys()], ['expired'])
  t.same(await minutesLeft(), { expired: null })
})
