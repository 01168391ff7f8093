/** Tests of a link that breaks while pending writes commit. Afterwards, the database tells if they did (P9). */
import t from 'tap'
import type { PendingWrite, Transaction } from '../../../src/core/entry.js'
import { Attempts } from '../../../src/postgres/pool/attempts.js'
import { Database } from '../../../src/postgres/pool/database.js'
import { SchemaName } from '../../../src/postgres/schema/schema-name.js'
import { PostgresStore } from '../../../src/postgres/store/store.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { FaultProxy } from '../../support/fault-proxy.js'

const { url, query } = await cacheDatabase(t)
// A commit takes until the lock is given back.
await query(`create function waits() returns trigger language plpgsql as $$
  begin perform pg_advisory_xact_lock_shared(7); return null; end $$`)
await query(`create constraint trigger waits after insert or update or delete on cache_entries
  deferrable initially deferred for each row execute function waits()`)

const proxy = new FaultProxy(Number(new URL(url).port))
const port = String(await proxy.listen())
t.teardown(() => proxy.close())
const log = { info: () => undefined, warn: () => undefined }
const clock = { now: () => performance.now(), defer: setImmediate }
const database = new Database({
  url: Object.assign(new URL(url), { port }).href,
  poolSize: 2,
  timeoutMs: 20_000,
  log,
})
t.teardown(() => database.close())
const store = new PostgresStore({
  database,
  attempts: new Attempts({ clock, log, timeoutMs: 20_000 }),
  schema: new SchemaName(database),
})

const kept = (key: string, value: string | undefined): PendingWrite => ({
  key,
  value,
  base: { kind: 'unseen', mark: undefined },
  epoch: undefined,
  mayHaveHappened: false,
  outcomes: [],
})

const committing = async () => {
  const { rows } = await query(
    "select pid from pg_stat_activity where query = 'commit' and wait_event = 'advisory'",
  )
  return rows[0]?.pid as number | undefined
}

t.beforeEach(async () => {
  await query('delete from cache_entries')
})

/** Breaks the link while the transaction commits. A lock delays the commit until `end`. */
async function lostWhileCommitting(writes: readonly PendingWrite[]) {
  const holder = await freshDatabaseSession()
  await holder.query('select pg_advisory_lock(7)')
  let transaction: Transaction | undefined
  const settling = store.settle(writes, (begun) => {
    transaction = begun
  })
  settling.catch(() => undefined)
  const pid = await eventually(committing)
  proxy.reset()
  await t.rejects(settling, { code: 'outcome-unknown' })
  return {
    transaction: transaction as unknown as Transaction,
    pid,
    end: () => holder.query('select pg_advisory_unlock(7)'),
  }
}

async function freshDatabaseSession() {
  const { default: pg } = await import('pg')
  const session = new pg.Client({ connectionString: url })
  await session.connect()
  t.teardown(() => session.end())
  return session
}

t.test('committed all the same', async (t) => {
  const writes = [kept('a', '"ours"'), kept('none', undefined)]
  const { transaction, end } = await lostWhileCommitting(writes)
  t.equal(await store.outcomeOf(transaction, writes), 'in-progress')
  await end()
  const outcome = await eventually(async () => {
    const told = await store.outcomeOf(transaction, writes)
    return told !== 'in-progress' && told
  })
  const { rows } = await query("select version from cache_entries where key = 'a'")
  t.match(outcome, {
    settlements: new Map([
      ['a', { kind: 'written', written: { version: rows[0]?.version, epoch: transaction.epoch } }],
      ['none', { kind: 'written', written: undefined }],
    ]),
  })
})

t.test('committed, and written by somebody else since', async (t) => {
  const writes = [kept('a', '"ours"')]
  const { transaction, end } = await lostWhileCommitting(writes)
  await end()
  await eventually(async () => (await store.outcomeOf(transaction, writes)) !== 'in-progress')
  await query("update cache_entries set value = 'theirs' where key = 'a'")
  t.match(await store.outcomeOf(transaction, writes), { settlements: new Map([['a', { kind: 'conflict' }]]) })
})

t.test('not committed', async (t) => {
  const writes = [kept('a', '"ours"')]
  const { transaction, pid, end } = await lostWhileCommitting(writes)
  await query('select pg_terminate_backend($1, 20000)', [pid])
  t.equal(await store.outcomeOf(transaction, writes), 'aborted')
  await end()
  t.equal((await query('select from cache_entries')).rows.length, 0)
})

t.test('in another history nobody knows', async (t) => {
  const { epoch } = await store.position()
  const later: Transaction = { id: '999999999999', epoch }
  t.equal(await store.outcomeOf(later, []), 'unknown')
  const { rows } = await query<{ id: string }>('select pg_current_xact_id()::text as id')
  const [ended] = rows
  t.equal(await store.outcomeOf({ id: ended?.id ?? '', epoch: 'another' }, []), 'unknown')
  t.match(await store.outcomeOf({ id: ended?.id ?? '', epoch }, []), { settlements: new Map() })
})

t.test('a connection lost before the commit is reported as not written', async (t) => {
  const holder = await freshDatabaseSession()
  await query("insert into cache_entries (key, value) values ('locked', 'before')")
  await holder.query("begin; update cache_entries set value = 'theirs' where key = 'locked'")
  const settling = store.settle([kept('locked', '"ours"'), kept('new', '"ours"')], () => undefined)
  settling.catch(() => undefined)
  await eventually(async () => {
    const { rows } = await query(
      "select from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'kept'",
    )
    return rows.length > 0
  })
  proxy.reset()
  await t.rejects(settling, { code: 'store-unavailable' })
  await holder.query('rollback')
  await eventually(async () => {
    const { rows } = await query(
      "select from pg_stat_activity where state = 'idle in transaction' and application_name = 'caching-layer'",
    )
    return rows.length === 0
  })
  t.same((await query('select key from cache_entries')).rows, [{ key: 'locked' }])
})

t.test('an internal error of one row does not count as a lost connection', async (t) => {
  await query(`create function damaged() returns trigger language plpgsql as $$ begin
    if new.key = 'damaged' then raise exception 'no' using errcode = 'XX001'; end if; return new; end $$`)
  await query('create trigger damaged before insert on cache_entries for each row execute function damaged()')
  t.teardown(() => query('drop trigger damaged on cache_entries'))
  const writes = [kept('damaged', '"ours"'), kept('good', '"ours"')]
  const error = await store.settle(writes, () => undefined).catch((reason: unknown) => reason)
  t.match(error, { code: 'store-failed', isOfWholeStatement: false })
  t.equal((await store.settle(writes.slice(1), () => undefined)).size, 1)
})
