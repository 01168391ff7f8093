/**
 * Tests of errors from PostgreSQL, by kind: the response to the client, the other writes of the batch, and the messages
 * for the operator.
 */
import t from 'tap'
import { migrate } from '../../src/postgres/schema/migrate.js'
import { cacheDatabase, freshDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { guestOf } from '../support/guest.js'
import type { JsonClient } from '../support/json-client.js'
import { startLiveSidecar } from '../support/sidecar.js'

interface Expected {
  readonly status: 200 | 403 | 422 | 503
  readonly detail?: RegExp
  /** The write is kept until it can be delivered. */
  readonly isKept?: true
  /** The statement may be sent again within the request. */
  readonly isRetried?: true
  /** The whole batch shares the outcome, because it is unknown what was committed. */
  readonly isShared?: true
}

const refused: Expected = { status: 422, detail: /refused the value/ }
const failed: Expected = { status: 503, detail: /an operator must fix/ }
const kept: Expected = { status: 200, isKept: true }
const locked: Expected = { status: 503, detail: /locked/, isRetried: true }
const unknown: Expected = { status: 503, detail: /outcome of the write is unknown/, isShared: true }

/** Expected response by SQLSTATE that a trigger raises for one row. */
const states: Readonly<Record<string, Expected>> = {
  '08000': unknown,
  '08006': unknown,
  '09000': refused,
  '0A000': failed,
  '21000': refused,
  '22001': refused,
  '22003': refused,
  '22P02': refused,
  '2200H': failed,
  '23502': refused,
  '23503': refused,
  '23505': refused,
  '23514': refused,
  '23P01': refused,
  '25006': kept,
  '25P02': failed,
  '25P04': unknown,
  '27000': refused,
  '28000': failed,
  '2D000': failed,
  '2F005': refused,
  '38000': refused,
  '39000': refused,
  '3D000': failed,
  '3F000': failed,
  '40001': locked,
  '40003': unknown,
  '40P01': locked,
  '42501': { status: 403, detail: /does not have the right/ },
  '42601': failed,
  '42703': failed,
  '42883': failed,
  '42P01': failed,
  '42P10': failed,
  '44000': refused,
  '53100': kept,
  '53200': kept,
  '54000': refused,
  '54001': failed,
  '55000': failed,
  '55P03': locked,
  '57014': { status: 503, detail: /did not answer in time/ },
  '57P01': unknown,
  '58030': failed,
  '99999': refused,
  AP001: refused,
  P0001: refused,
  XX000: failed,
}

const neighbours = ['a', 'b', 'c', 'd', 'e', 'f']

/** Body of the trigger function. Creating or dropping a trigger would make the sidecar drop its entries. */
const body = (
  statement: string,
) => `create or replace function raising() returns trigger language plpgsql as $$
  declare row cache_entries := coalesce(new, old);
  begin ${statement} return row; end $$`
const raises =
  "if row.key ~ '^bad ' then raise exception 'said of %', row.value using errcode = right(row.key, 5); end if;"

t.test('an error that a trigger raises for one row fails its write alone', async (t) => {
  const database = await cacheDatabase(t)
  await database.query(body(''))
  await database.query(
    'create trigger a_raising before insert or update or delete on cache_entries for each row execute function raising()',
  )
  const { client, log } = await startLiveSidecar(t, { databaseUrl: database.url, databaseTimeoutMs: 1_000 })
  for (const operation of Object.keys(operations)) {
    for (const state of Object.keys(states)) {
      await client.set(`bad ${operation} ${state}`, 'there')
      await client.held(`bad ${operation} ${state}`)
    }
  }
  await database.query(body(raises))

  for (const [state, expected] of Object.entries(states)) {
    await t.test(state, async (t) => {
      for (const [operation, act] of Object.entries(operations)) {
        const before = await client.stats()
        const [bad, ...others] = await Promise.all(
          [`bad ${operation} ${state}`, ...neighbours].map((key) => act(client, key)),
        )
        t.equal(bad?.status, expected.status, `${operation}: ${bad?.text}`)
        if (expected.detail) t.match(bad?.body.detail, expected.detail, operation)
        for (const { status, text } of others)
          t.ok(status === 200 || (expected.isShared && status === 503), `${operation}, a neighbour: ${text}`)
        const after = await client.stats()
        t.equal(after.writes.pending > before.writes.pending, expected.isKept === true, `${operation}: kept`)
        const isRetried = after.database.retries > before.database.retries
        if (!expected.isRetried) t.notOk(isRetried, `${operation}: not sent again`)
        if (expected.isKept)
          t.match(bad?.body, operation === 'set' ? { db_written: false } : { pending: true })
      }
      const told = log.filter((line) => line.includes(`"sqlState":"${state}"`))
      t.equal(told.length, 1, 'it is logged once')
      t.notMatch(told[0], 'there', 'without the data')
    })
  }
  const { rows } = await database.query("select count(*)::int from cache_entries where value = 'there'")
  t.equal(rows[0]?.count, 2 * Object.keys(states).length, 'none of those rows was changed')

  const { writes } = await client.stats()
  t.ok(writes.pending > 0)
  await database.query(body(''))
  await eventually(async () => (await client.stats()).writes.pending === 0)
  t.match((await client.stats()).writes, { pending_settled: writes.pending, pending_conflicts: 0 })
})

const operations = {
  set: (client: JsonClient, key: string) => client.set(key, 'here'),
  delete: (client: JsonClient, key: string) => client.delete(key),
}

t.test(
  'a pending write whose row raises an error is given up or stays, and its neighbours are written',
  async (t) => {
    const database = await freshDatabase(t)
    const owner = await guestOf(t, database)
    await migrate(owner.url)
    await database.query(body(''))
    await database.query(
      'create trigger a_raising before insert or update or delete on cache_entries for each row execute function raising()',
    )
    const { client } = await startLiveSidecar(t, { databaseUrl: owner.url, databaseTimeoutMs: 1_000 })
    const keyOf = (state: string) => `bad settle ${state}`
    await owner.shutOut()
    await eventually(async () => (await client.set('first', 'kept')).body.db_written === false)
    for (const key of [...Object.keys(states).map(keyOf), ...neighbours])
      t.match((await client.set(key, 'kept')).body, { db_written: false }, key)
    await database.query(body(raises))
    await owner.letIn()

    const staying = Object.entries(states).filter(([, { status }]) => status !== 422)
    const refused = Object.keys(states).length - staying.length
    await eventually(async () => (await client.stats()).writes.pending_conflicts === refused)
    await eventually(async () => {
      const { rows } = await database.query('select from cache_entries where key = any($1)', [neighbours])
      return rows.length === neighbours.length
    })
    t.equal((await client.stats()).writes.pending, staying.length)
    for (const [state, { status }] of Object.entries(states)) {
      const { body } = await client.get(keyOf(state))
      if (status === 422) t.not(body.value, 'kept', `${state}: given up`)
      else t.match(body, { value: 'kept', stale: true }, `${state}: it stays`)
    }
    const { reason } = (await client.request('GET', '/health')).body.pending_writes as {
      readonly reason?: string
    }
    t.type(reason, 'string', 'and the reason is named')

    await database.query(body(''))
    await eventually(async () => (await client.stats()).writes.pending === 0)
    t.match((await client.stats()).writes, { pending_conflicts: refused })
    const { rows } = await database.query(
      "select from cache_entries where value = 'kept' and key like 'bad settle %'",
    )
    t.equal(rows.length, staying.length)
  },
)

t.test('an error that a policy raises for one row fails its read alone', async (t) => {
  const database = await cacheDatabase(t)
  const guest = await guestOf(t, database)
  await database.query(`
    grant all on cache_entries, cache_marks, cache_migrations to ${guest.name};
    create function is_readable(key text) returns boolean language plpgsql as $$
      begin
        if key ~ '^bad ' then raise exception 'said of %', key using errcode = right(key, 5); end if;
        return true;
      end $$;
    create policy readers on cache_entries for select using (is_readable(key));
    create policy writers on cache_entries using (true) with check (true);
    insert into cache_entries (key, value)
      select key, 'there' from unnest(array[${[
        ...Object.keys(states).map((state) => `bad ${state}`),
        ...neighbours,
      ]
        .map((key) => `'${key}'`)
        .join()}]) as key`)
  // Policies for one command are joined by OR, so the second must not hide what the first raises.
  await database.query(
    'drop policy writers on cache_entries; alter table cache_entries enable row level security',
  )
  const { client, log } = await startLiveSidecar(t, {
    databaseUrl: guest.url,
    databaseTimeoutMs: 1_000,
    migrate: false,
    capacity: 1,
  })
  for (const [state, { status: written }] of Object.entries(states)) {
    // Nothing is kept or unknown of a read: it has failed, and can be repeated.
    const expected = written === 200 ? 503 : written
    const [bad, ...others] = await Promise.all([`bad ${state}`, ...neighbours].map((key) => client.get(key)))
    t.equal(bad?.status, expected, `${state}: ${bad?.text}`)
    for (const { status, text } of others) t.equal(status, 200, `${state}, a neighbour: ${text}`)
    t.equal(log.filter((line) => line.includes(`"sqlState":"${state}"`)).length, 1, `${state}: logged once`)
  }
  t.equal((await client.stats()).database.breaker, 'closed')
})

/** Faults of the whole database, and how reads, sets and deletes of a sidecar that was live before are answered. */
const faults: Readonly<
  Record<
    string,
    {
      readonly fault: string
      readonly cure: string
      readonly get: number
      readonly set: number | 'kept'
      readonly delete: number | 'kept'
      readonly sqlState: RegExp
    }
  >
> = {
  'no right to insert': {
    fault: 'revoke insert on cache_entries from ROLE',
    cure: 'grant insert on cache_entries to ROLE',
    get: 404,
    set: 403,
    delete: 200,
    sqlState: /42501/,
  },
  'no right to select': {
    fault: 'revoke select on cache_entries from ROLE',
    cure: 'grant select on cache_entries to ROLE',
    get: 403,
    set: 403,
    delete: 403,
    sqlState: /42501/,
  },
  'row-level security without a policy': {
    fault: 'alter table cache_entries enable row level security',
    cure: 'alter table cache_entries disable row level security',
    get: 404,
    set: 403,
    delete: 200,
    sqlState: /42501/,
  },
  'no unique key': {
    fault: 'alter table cache_entries drop constraint cache_entries_pkey',
    cure: 'alter table cache_entries add constraint cache_entries_pkey primary key (key)',
    get: 404,
    set: 503,
    delete: 200,
    sqlState: /42P10/,
  },
  'a column was renamed': {
    fault: 'alter table cache_entries rename content_type to type_of_content',
    cure: 'alter table cache_entries rename type_of_content to content_type',
    get: 503,
    set: 503,
    delete: 200,
    sqlState: /42703/,
  },
  'the table is gone': {
    fault: 'alter table cache_entries rename to other',
    cure: 'alter table other rename to cache_entries',
    get: 503,
    set: 503,
    delete: 503,
    sqlState: /42P01/,
  },
  'the schema is gone': {
    fault: 'alter schema public rename to other',
    cure: 'alter schema other rename to public',
    get: 503,
    set: 503,
    delete: 503,
    sqlState: /3F000|42P01/,
  },
  'the sequence is exhausted': {
    fault: "alter sequence cache_version no cycle maxvalue 100000; select setval('cache_version', 100000)",
    cure: 'alter sequence cache_version cycle maxvalue 549755813887',
    get: 404,
    set: 503,
    delete: 200,
    sqlState: /2200H/,
  },
  'the database is read-only': {
    fault: 'alter role ROLE set default_transaction_read_only = on',
    cure: 'alter role ROLE reset default_transaction_read_only',
    get: 404,
    set: 'kept',
    delete: 'kept',
    sqlState: /25006/,
  },
}

for (const [what, { fault, cure, sqlState, ...expected }] of Object.entries(faults)) {
  t.test(what, async (t) => {
    const database = await freshDatabase(t)
    const { client: first } = await startLiveSidecar(t, { databaseUrl: database.url })
    await first.set('a', 1)
    const guest = await guestOf(t, database)
    await database.query(`grant select, insert, update, delete on cache_entries to ${guest.name}`)
    await database.query(`grant select, insert, delete on cache_marks to ${guest.name}`)
    await database.query(`grant usage on schema public to ${guest.name}`)
    const { client, ops, log } = await startLiveSidecar(t, {
      databaseUrl: guest.url,
      databaseTimeoutMs: 1_000,
      migrate: false,
    })
    await client.set('b', 1)
    await database.query(fault.replaceAll('ROLE', guest.name))
    await database.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [
      guest.name,
    ])
    const isWrong = async () => {
      const answers = [await client.get('absent'), await client.set('a', 2), await client.delete('b')]
      const [get, set, remove] = answers.map(({ status }) => status)
      t.comment(answers.map(({ text }) => text).join('\n'))
      return (
        get === expected.get &&
        set === (expected.set === 'kept' ? 200 : expected.set) &&
        (answers[1]?.body.db_written === false) === (expected.set === 'kept') &&
        remove === (expected.delete === 'kept' ? 200 : expected.delete) &&
        (answers[2]?.body.pending === true) === (expected.delete === 'kept')
      )
    }
    await eventually(isWrong)
    t.ok(
      log.some((line) => sqlState.test(line)),
      log.filter((line) => line.includes('sqlState')).join(''),
    )
    if (expected.set !== 'kept') t.equal((await client.stats()).writes.pending, 0, 'nothing is kept')
    else {
      await eventually(async () => {
        const { text } = await ops.request('GET', '/readyz?verbose')
        return /pending writes/.test(text) && !text.includes(guest.name)
      })
    }
    await database.query(cure.replaceAll('ROLE', guest.name))
    await database.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [
      guest.name,
    ])
    await eventually(async () => (await client.set('a', 3)).body.db_written === true)
    await eventually(async () => (await client.stats()).writes.pending === 0)
  })
}

t.test('a table without a replica identity is for an operator to fix', async (t) => {
  const database = await freshDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: database.url, databaseTimeoutMs: 1_000 })
  await client.set('k', 'old')
  await database.query('alter table cache_entries replica identity nothing')
  await database.query('create publication all_rows for table cache_entries')
  t.match(await client.set('k', 'new'), { status: 503, body: { detail: /an operator must fix/ } })
  t.equal((await client.stats()).writes.pending, 0, 'the write is not kept')
  t.equal(await client.value('k'), 'old')
})
