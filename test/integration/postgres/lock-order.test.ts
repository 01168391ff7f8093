/** Statements for several rows lock them in the order of their keys, so that two of them do not wait for each other. */
import pg from 'pg'
import t, { type Test } from 'tap'
import type { WriteOptions } from '../../../src/core/ports.js'
import { PostgresStore } from '../../../src/postgres/store/store.js'
import { PostgresTransactionWriter } from '../../../src/postgres/store/transaction-writer.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { storeParts } from '../../support/store-parts.js'

const { url, query } = await cacheDatabase(t)
// Long, because a statement waits for a lock for a tenth of it.
const parts = storeParts(t, url, { timeoutMs: 600_000 })
const store = new PostgresStore(parts)
const transactions = new PostgresTransactionWriter({ ...parts, withinMs: 600_000 })

t.beforeEach(async () => {
  await query('truncate cache_entries, cache_leases')
})

/** In another order than their own. */
const keys = ['b', 'a']
const written = { value: '"x"' }
type Send = (options: WriteOptions) => Promise<unknown>

const send = {
  write: (options) => store.write(keys.map((key) => ({ key, ...written, ...options }))),
  remove: () => store.remove(keys),
  settle: (options) => settle(written.value, options),
  'settle deletes': () => settle(undefined, {}),
  transaction: (options) =>
    transactions.writeAll(keys.map((key) => ({ key, ...written, condition: {}, ...options }))),
  'transaction of deletes': () =>
    transactions.writeAll(keys.map((key) => ({ key, value: undefined, condition: {} }))),
} satisfies Readonly<Record<string, Send>>

/** Sends pending writes that build on the rows as they are. */
async function settle(value: string | undefined, options: WriteOptions) {
  const answers = await store.read(keys.map((key) => ({ key })))
  const writes = [...answers].map(([key, answer]) => ({
    ...{ key, value, epoch: answer.epoch, mayHaveHappened: false, outcomes: [], ...options },
    base:
      answer.version !== undefined && 'value' in answer
        ? ({ ...answer, kind: 'held' } as const)
        : ({ kind: 'unseen', mark: undefined } as const),
  }))
  return store.settle(writes, () => undefined)
}

/** Locks `a` by SQL, sends, waits until that waits for `a`, and locks `b` by SQL, which must not have been locked. */
async function locksInOrder(t: Test, lock: (key: string) => string, work: () => Promise<unknown>) {
  const other = new pg.Client({ connectionString: url })
  await other.connect()
  t.teardown(() => other.end())
  // Before the server looks for a deadlock, for which it may cancel either statement.
  await other.query("begin; set local lock_timeout = '50ms'")
  await other.query(lock('a'))
  const sent = work()
  await eventually(async () => {
    const { rowCount } = await query(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    )
    return rowCount === 1
  })
  await t.resolves(other.query(lock('b')))
  await other.query('rollback')
  await sent
}

const lockRow = (table: string) => (key: string) =>
  `select from ${table} where key = '${key}' for update nowait`
const insertRow = (key: string) => `insert into cache_entries (key, value) values ('${key}', 'other')`

for (const [kind, options] of [
  ['write', {}],
  ['write', { groups: ['g'] }],
  ['write', { ttlMs: 60_000 }],
  ['settle', {}],
  ['settle', { ttlMs: 60_000 }],
  ['transaction', {}],
  ['transaction', { ttlMs: 60_000 }],
] as const)
  t.test(`${kind} of rows that another session inserts, ${JSON.stringify(options)}`, async (t) => {
    await locksInOrder(t, insertRow, () => send[kind](options))
  })

for (const kind of Object.keys(send) as (keyof typeof send)[])
  t.test(`${kind} of rows that are there`, async (t) => {
    for (const key of keys) await query('insert into cache_entries (key, value) values ($1, 1)', [key])
    await locksInOrder(t, lockRow('cache_entries'), () => send[kind]({}))
  })

t.test('leases that are revoked', async (t) => {
  for (const key of keys)
    await query(
      "insert into cache_leases (key, lease, ends_at) values ($1, 'x', now() + interval '1 hour')",
      [key],
    )
  await locksInOrder(t, lockRow('cache_leases'), () => store.remove(keys))
})
