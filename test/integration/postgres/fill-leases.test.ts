/** Tests of fill leases in every interleaving with a transaction that removes entries; see sql/0010_fill_leases.sql. */
import pg from 'pg'
import t, { type Test } from 'tap'
import type { ConditionalAnswer, ConditionalWrite } from '../../../src/core/ports.js'
import { PostgresEntryRemover } from '../../../src/postgres/store/entry-remover.js'
import { PostgresFillLeases } from '../../../src/postgres/store/fill-leases.js'
import { PostgresStore } from '../../../src/postgres/store/store.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { storeParts } from '../../support/store-parts.js'

const { url, query } = await cacheDatabase(t)
const parts = storeParts(t, url, { poolSize: 8 })
const store = new PostgresStore(parts)
const leases = new PostgresFillLeases(parts)
const remover = new PostgresEntryRemover({ ...parts, withinMs: 10_000 })

t.beforeEach(async () => {
  await query('truncate cache_entries')
  await query('truncate cache_leases')
})

const acquire = (key = 'k', groups: string[] = ['g'], durationMs = 60_000) =>
  leases.acquire({ key, groups, durationMs })

/** Acquires a lease. Fails if there is none. */
async function held(key?: string, groups?: string[], durationMs?: number): Promise<string> {
  const answer = await acquire(key, groups, durationMs)
  if (answer.kind !== 'granted') throw new Error(`the lease is ${answer.kind}`)
  return answer.lease
}

const fill = (lease: string, more: Partial<ConditionalWrite> = {}): Promise<ConditionalAnswer> =>
  store.writeIf({ key: 'k', value: '"old"', condition: {}, lease, ...more })

async function stored(): Promise<string | undefined> {
  const { rows } = await query<{ value: string }>("select value from cache_entries where key = 'k'")
  return rows[0]?.value
}

/** Opens a session for a transaction of an application. */
async function application(t: Test): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  return client
}

/** Resolves when a session of this database waits for a lock. */
const somebodyWaits = () =>
  eventually(async () => {
    const { rows } = await query<{ waiting: number }>(
      "select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    )
    return (rows[0]?.waiting ?? 0) > 0
  })

const calls = [
  "cache_invalidate('k')",
  "cache_invalidate_group('g')",
  "cache_invalidate_prefix('k')",
  'cache_invalidate_all()',
]

for (const call of calls) {
  t.test(`${call} in an open transaction keeps leases from being given`, async (t) => {
    const client = await application(t)
    await client.query(`begin; select ${call}`)
    t.same(await acquire(), { kind: 'blocked' })
    await client.query('commit')
    t.match(await acquire(), { kind: 'granted' })
  })

  t.test(`${call} in an open transaction makes a value wait, and refuses it at the commit`, async (t) => {
    const client = await application(t)
    const lease = await held()
    await client.query(`begin; select ${call}`)
    const filling = fill(lease)
    await somebodyWaits()
    await client.query('commit')
    t.match(await filling, { isMet: false, refusal: 'no-lease' })
    t.equal(await stored(), undefined)
  })

  t.test(`a rollback of ${call} gives the lease back`, async (t) => {
    const client = await application(t)
    const lease = await held()
    await client.query(`begin; select ${call}`)
    const filling = fill(lease)
    await somebodyWaits()
    await client.query('rollback')
    t.match(await filling, { isMet: true })
    t.equal(await stored(), 'old')
  })

  t.test(`${call} removes a value that is being stored`, async (t) => {
    const lease = await held()
    const blocker = await application(t)
    const client = await application(t)
    // Another transaction is about to insert the same key, so the statement waits with the lease deleted.
    await blocker.query("begin; insert into cache_entries (key, value) values ('k', 'other')")
    const filling = fill(lease)
    await somebodyWaits()
    const removing = client.query(`select ${call}::int as removed`)
    await eventually(async () => {
      const { rows } = await query<{ waiting: number }>(
        "select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      )
      return rows[0]?.waiting === 2
    })
    await blocker.query('rollback')
    t.match(await filling, { isMet: true })
    t.same((await removing).rows, [{ removed: 1 }])
    t.equal(await stored(), undefined)
  })
}

t.test('other names are not affected', async (t) => {
  const client = await application(t)
  const lease = await held()
  await client.query(
    "begin; select cache_invalidate('other'), cache_invalidate_group('h'), cache_invalidate_prefix('o')",
  )
  t.match(await fill(lease), { isMet: true })
  await client.query('commit')
  t.equal(await stored(), 'old')
  await client.query("begin; select cache_invalidate('other'), cache_invalidate_group('h')")
  t.match(await acquire('free', ['i']), { kind: 'granted' })
  t.same(await acquire('free2', ['i', 'h']), { kind: 'blocked' })
  await client.query('commit')
})

t.test('many names at once are as good as a few', async (t) => {
  const client = await application(t)
  const names = Array.from({ length: 500 }, (_, index) => `n${index}`)
  await client.query('begin')
  await client.query("select cache_remove('cache_entries', $1, $2, null, false)", [names, names])
  t.same(await acquire('n7', []), { kind: 'blocked' })
  t.same(await acquire('x', ['n8']), { kind: 'blocked' })
  const { rows } = await client.query(
    "select count(*)::int as locks from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
  )
  t.same(rows, [{ locks: 16 }], 'they fit into the table of locks')
  await client.query('commit')
})

t.test('transactions that remove the same group do not wait for each other', async (t) => {
  const one = await application(t)
  const two = await application(t)
  for (const client of [one, two])
    await client.query("begin; select cache_invalidate_group('g'), cache_invalidate_prefix('k')")
  await one.query('commit')
  t.same(await acquire(), { kind: 'blocked' }, 'the second one still has the lock')
  await two.query('commit')
})

for (const isolation of ['repeatable read', 'serializable'])
  t.test(`removing is refused in ${isolation}, whose snapshot would not show what was stored`, async (t) => {
    const client = await application(t)
    await client.query(`begin isolation level ${isolation}`)
    await t.rejects(client.query("select cache_invalidate('k')"), {
      message: 'entries can only be removed in a transaction of READ COMMITTED',
    })
  })

t.test('a lease is given once, until it ends', async (t) => {
  const lease = await held('k', ['g'], 60_000)
  const answer = await acquire()
  t.match(answer, { kind: 'taken' })
  t.ok(answer.kind === 'taken' && answer.remainingMs > 50_000 && answer.remainingMs <= 60_000)
  await query("update cache_leases set ends_at = clock_timestamp() where key = 'k'")
  t.match(await fill(lease), { isMet: false, refusal: 'no-lease' }, 'it has ended')
  const next = await held()
  t.not(next, lease)
  t.match(await fill(lease), { refusal: 'no-lease' }, 'another one has it')
  t.match(await fill(next), { isMet: true })
  t.match(await fill(next), { refusal: 'no-lease' }, 'it ends with the value')
})

t.test('50 callers at the same moment: one gets the lease', async (t) => {
  const answers = await Promise.all(Array.from({ length: 50 }, () => acquire()))
  t.equal(answers.filter(({ kind }) => kind === 'granted').length, 1)
})

t.test('an entry that is there is not replaced, unless it has expired', async (t) => {
  await query("insert into cache_entries (key, value) values ('k', 'there')")
  t.match(await fill(await held()), { isMet: false, refusal: 'present' })
  t.equal(await stored(), 'there')
  await query("update cache_entries set expires_at = clock_timestamp() - interval '1 second'")
  t.match(await fill(await held(), { ttlMs: 60_000 }), { isMet: true, written: { remainingMs: Number } })
  t.equal(await stored(), 'old')
  await query("update cache_entries set expires_at = clock_timestamp() - interval '1 second'")
  t.match(await fill(await held()), { isMet: true, written: { remainingMs: undefined } })
})

t.test('the groups of a value are among those of its lease', async (t) => {
  const groupsOf = async () =>
    (await query<{ groups: string[] | null }>('select groups from cache_entries')).rows[0]?.groups
  const lease = await held('k', ['g', 'h'])
  t.match(await fill(lease, { groups: ['g', 'i'] }), { isMet: false, refusal: 'other-groups' })
  t.match(await fill(lease, { groups: ['h'] }), { isMet: true }, 'the lease is still there')
  t.same(await groupsOf(), ['h'])
  await query('truncate cache_entries')
  t.match(await fill(await held('k', ['g', 'h'])), { isMet: true })
  t.same(await groupsOf(), ['g', 'h'], 'by default, they are those of the lease')
  await query('truncate cache_entries')
  t.match(await fill(await held('k', []), { groups: ['g'] }), { refusal: 'other-groups' })
  await query('truncate cache_leases')
  t.match(await fill(await held('k', [])), { isMet: true })
  t.same(await groupsOf(), null)
})

t.test('a delete by a client revokes the lease of the key', async (t) => {
  const deletes: [name: string, run: () => Promise<unknown>][] = [
    ['remove', () => store.remove(['j', 'k'])],
    ['removeIf', () => store.writeIf({ key: 'k', value: undefined, condition: {} })],
    ['remover', () => remover.remove({ keys: ['k'], groups: [], prefix: undefined, all: false })],
  ]
  for (const [name, run] of deletes) {
    const lease = await held()
    await run()
    t.match(await fill(lease), { refusal: 'no-lease' }, name)
    t.equal(await stored(), undefined)
  }
})

t.test('a delete by a client removes a value that is being stored under its lease', async (t) => {
  const deletes: [name: string, run: () => Promise<unknown>, answer: object][] = [
    ['remove', async () => (await store.remove(['k'])).get('k'), { version: /^-/ }],
    [
      'removeIf',
      () => store.writeIf({ key: 'k', value: undefined, condition: {} }),
      { isMet: true, before: /\d/ },
    ],
  ]
  for (const [name, run, answer] of deletes) {
    const lease = await held()
    const client = await application(t)
    // A fill as a transaction that has not been committed.
    await client.query("begin; delete from cache_leases where key = 'k'")
    await client.query("insert into cache_entries (key, value) values ('k', 'old')")
    const removing = run()
    await somebodyWaits()
    await client.query('commit')
    t.match(await removing, answer, name)
    t.equal(await stored(), undefined, name)
    t.match(await fill(lease), { refusal: 'no-lease' })
  }
})

t.test('a delete whose condition does not hold revokes nothing', async (t) => {
  const lease = await held()
  t.match(await store.writeIf({ key: 'k', value: undefined, condition: { match: '*' } }), { isMet: false })
  t.match(await fill(lease), { isMet: true })
})

t.test('a lease that is given back can be given again', async (t) => {
  const lease = await held()
  await leases.release('k', 'another')
  t.match(await acquire(), { kind: 'taken' })
  await leases.release('k', lease)
  t.match(await acquire(), { kind: 'granted' })
})

t.test('leases whose holders are gone are deleted in time', async (t) => {
  await query(
    "insert into cache_leases (key, lease, ends_at) select 'old' || n, 'x', now() - interval '1 day' from generate_series(1, 25) n",
  )
  for (const left of [15, 5, 0]) {
    await held(`new${left}`)
    const { rows } = await query('select count(*)::int as left from cache_leases where ends_at < now()')
    t.same(rows, [{ left }])
  }
})

t.test('the isolation level that the database has by default does not matter', async (t) => {
  await query(
    `alter database ${new URL(url).pathname.slice(1)} set default_transaction_isolation = 'repeatable read'`,
  )
  const other = storeParts(t, url, { poolSize: 4 })
  const lease = await new PostgresFillLeases(other).acquire({ key: 'k', groups: ['g'], durationMs: 60_000 })
  t.match(lease, { kind: 'granted' })
  const groups = { keys: [], groups: ['g'], prefix: undefined, all: false }
  await new PostgresEntryRemover({ ...other, withinMs: 10_000 }).remove(groups)
  const answer = await new PostgresStore(other).writeIf({
    key: 'k',
    value: '"old"',
    condition: {},
    lease: lease.kind === 'granted' ? lease.lease : '',
  })
  t.match(answer, { refusal: 'no-lease' })
  await new PostgresStore(other).remove(['k'])
})
