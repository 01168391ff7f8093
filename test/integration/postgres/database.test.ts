import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import pg from 'pg'
import t, { type Test } from 'tap'
import { CacheError } from '../../../src/core/errors.js'
import { Database } from '../../../src/postgres/pool/database.js'
import { freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { proxyTo } from '../../support/half-open-proxy.js'

const fresh = await freshDatabase(t)
await fresh.query('create table numbers (n int primary key check (n < 1000))')

function databaseOn(t: Test, url: string, timeoutMs = 400): Database {
  const log = { info: () => {}, warn: () => {} }
  const database = new Database({ url, poolSize: 2, timeoutMs, log })
  t.teardown(() => database.close())
  return database
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  )
  return error instanceof CacheError ? error.code : `no CacheError: ${error}`
}

/** Resolves when the server is executing a statement with this text, or waiting in it. */
function underWay(text: string): Promise<unknown> {
  return eventually(async () => {
    const { rows } = await fresh.query(
      `select from pg_stat_activity
       where datname = current_database() and state = 'active' and pid <> pg_backend_pid() and strpos(query, $1) > 0`,
      [text],
    )
    return rows.length > 0
  })
}

async function terminate(): Promise<void> {
  await fresh.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name = 'caching-layer'`,
  )
}

t.test('answers', async (t) => {
  const database = databaseOn(t, fresh.url)
  t.strictSame(await database.read('select $1::int + 1 as two', [1]), [{ two: 2 }])
  t.strictSame(await database.write('insert into numbers values ($1) returning n', [1]), [{ n: 1 }])
})

t.test('a statement is prepared once per connection', async (t) => {
  const database = databaseOn(t, fresh.url)
  const prepared = () =>
    database.read<{ name: string; calls: string }>(
      "select name, generic_plans + custom_plans as calls from pg_prepared_statements where statement like '%as thrice'",
    )
  for (const n of [1, 2, 3]) {
    t.strictSame(await database.read('select $1::int * 3 as thrice', [n]), [{ thrice: 3 * n }])
  }
  const [statement, ...others] = await prepared()
  t.match(statement, { name: /^caching_layer_[0-9a-f]{16}$/, calls: '3' })
  t.strictSame(others, [])
})

t.test('a pooler may send statements to connections that have not prepared them', async (t) => {
  const database = databaseOn(t, fresh.url)
  const insert = (n: number) => database.write('insert into numbers values ($1) returning n', [n])
  await insert(30)
  await database.read('deallocate all')
  t.strictSame(await insert(31), [{ n: 31 }], 'missing there')
  t.strictSame(await insert(32), [{ n: 32 }])
  t.strictSame(
    await database.read('select count(*)::int from pg_prepared_statements'),
    [{ count: 0 }],
    'nothing is prepared any more',
  )

  const other = databaseOn(t, fresh.url)
  const text = 'insert into numbers values ($1) returning n as inserted'
  const name = `caching_layer_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`
  await other.read(`prepare ${name} as select 'the same name, another connection''s statement'`)
  t.strictSame(await other.write(text, [33]), [{ inserted: 33 }], 'there already')
})

t.test('a table may be altered under a prepared statement', async (t) => {
  const database = databaseOn(t, fresh.url)
  await fresh.query('create table altered (n int)')
  const insert = () => database.write('insert into altered values (1) returning n', [])
  await insert()
  await fresh.query('alter table altered alter n type bigint')
  t.strictSame(await insert(), [{ n: '1' }])
  t.strictSame(await database.read('select count(*)::int from altered'), [{ count: 2 }], 'once each')
})

t.test('each kind of failed statement has its error code', async (t) => {
  const database = databaseOn(t, fresh.url)
  const insert = (n: unknown) => database.write('insert into numbers values ($1)', [n])
  await insert(10)
  t.equal(await codeOf(insert(1_000)), 'refused', 'a check constraint')
  t.equal(await codeOf(insert(10)), 'refused', 'a duplicate key')
  t.equal(await codeOf(insert(null)), 'refused', 'not null')
  t.equal(await codeOf(insert('abc')), 'refused', 'no number')
  t.equal(await codeOf(database.write('select $1', ['\0'])), 'refused', 'no text')
  t.equal(await codeOf(database.read('select from nowhere')), 'store-failed', 'no table')
  t.equal(await codeOf(database.read("do $$ begin raise 'no'; end $$")), 'refused', "a trigger's objection")
  t.equal(await codeOf(database.read('select pg_sleep(20)')), 'store-busy', 'the statement timeout')
  t.strictSame(await database.read('select 1 as one'), [{ one: 1 }], 'and the connections are good')
})

t.test('a lock that cannot be acquired is reported as such', async (t) => {
  const database = databaseOn(t, fresh.url, 2_000)
  await fresh.query('insert into numbers values (20)')
  const holder = new pg.Client({ connectionString: fresh.url })
  await holder.connect()
  t.teardown(() => holder.end())
  await holder.query('begin; update numbers set n = 21 where n = 20')
  t.equal(await codeOf(database.write('update numbers set n = 22 where n = 20', [])), 'row-locked')
  await holder.query('rollback')
})

t.test('rare errors of the server have their error codes', async (t) => {
  const database = databaseOn(t, fresh.url, 20_000)

  t.equal(
    await codeOf(database.write(`do $$ begin raise 'deadlock' using errcode = '40P01'; end $$`, [])),
    'row-locked',
    'a deadlock',
  )
  const tooLarge = `do $$ begin raise 'index row size exceeds a maximum' using errcode = '54000'; end $$`
  t.equal(await codeOf(database.write(tooLarge, [])), 'refused', 'not a full notification queue')
})

/** Repeats `act` until `work` has ended. */
async function untilEnded(work: Promise<unknown>, act: () => unknown): Promise<void> {
  let ended = false
  work.finally(() => {
    ended = true
  })
  await eventually(async () => {
    if (!ended) await act()
    return ended
  })
}

t.test('a terminated connection during a statement is reported with the right outcome', async (t) => {
  const database = databaseOn(t, fresh.url, 20_000)
  const write = codeOf(database.write("insert into numbers select 30 from pg_sleep(20) where $1 = ''", ['']))
  await underWay('insert into numbers select 30')
  await terminate()
  t.equal(await write, 'outcome-unknown')
  const read = codeOf(database.read('select 31 from pg_sleep(20)'))
  await untilEnded(read, terminate)
  t.equal(await read, 'store-unavailable', 'asked again once, and lost again')
  t.strictSame(await database.read('select 1 as one'), [{ one: 1 }], 'and it goes on')
})

t.test('a connection that ends without a message is reported with the right outcome', async (t) => {
  for (const how of ['end', 'reset'] as const) {
    const proxy = await proxyTo(t, fresh.url)
    const database = databaseOn(t, proxy.url, 20_000)
    await t.test(`${how} during a write`, async (t) => {
      const write = codeOf(
        database.write(`insert into numbers select 40 from pg_sleep(20) where $1 = '${how}'`, [how]),
      )
      await underWay(`where $1 = '${how}'`)
      proxy.cut(how)
      t.equal(await write, 'outcome-unknown')
    })
    await t.test(`${how} during a read`, async (t) => {
      const read = codeOf(database.read(`select '${how}' from pg_sleep(20)`))
      await untilEnded(read, () => proxy.cut(how))
      t.equal(await read, 'store-unavailable', 'asked again once, and lost again')
    })
    await t.test(`${how} while idle`, async (t) => {
      await Promise.all([database.read('select 1'), database.read('select 1')])
      proxy.cut(how)
      await eventually(async () => (await database.read('select 1 as one')).length === 1)
      t.pass('it goes on')
    })
  }
})

t.test('a server that stops responding is reported in time', async (t) => {
  const proxy = await proxyTo(t, fresh.url)
  const database = databaseOn(t, proxy.url)
  await database.read('select 1')
  proxy.freeze()
  t.equal(await codeOf(database.write('insert into numbers values ($1)', [50])), 'outcome-unknown')
  t.equal(await codeOf(database.read('select 1')), 'store-unavailable', 'no new connection either')
  proxy.thaw()
  t.strictSame(await eventually(() => database.read('select 1 as one')), [{ one: 1 }], 'and it goes on')
})

t.test('a server that cannot be reached is reported', async (t) => {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  await new Promise((resolve) => listener.close(resolve))
  const refused = databaseOn(t, `postgresql://nobody@127.0.0.1:${port}/nothing`)
  t.equal(await codeOf(refused.read('select 1')), 'store-unavailable')
  t.equal(
    await codeOf(refused.write('select 1', [])),
    'store-unavailable',
    'a write has certainly not happened',
  )

  const nowhere = Object.assign(new URL(fresh.url), { pathname: '/there_is_no_such_database' }).href
  t.equal(await codeOf(databaseOn(t, nowhere).write('select 1', [])), 'login-refused')
})

t.test('statements wait for a connection', async (t) => {
  const database = databaseOn(t, fresh.url, 5_000)
  const many = await Promise.all(
    Array.from({ length: 50 }, (_, n) => database.read<{ n: number }>('select $1::int as n', [n])),
  )
  t.strictSame(
    many.map(([row]) => row?.n),
    Array.from({ length: 50 }, (_, n) => n),
  )
})

t.test('the pool can be renewed while statements wait for a connection', async (t) => {
  const database = databaseOn(t, fresh.url, 5_000)
  const holders = [1, 2].map((n) => database.read(`select 'holder ${n}' from pg_sleep(0.3)`))
  await underWay("select 'holder 2'")
  const waiting = codeOf(database.write('insert into numbers values ($1)', [60]))
  t.match(database.use(), { busy: 2, waiting: 1 })
  database.renew()
  t.match(database.use(), { busy: 0, idle: 0, waiting: 0 })
  t.strictSame(await database.read('select 1 as one'), [{ one: 1 }], 'new connections are to be had')
  await Promise.all(holders)
  t.equal(await waiting, 'no CacheError: Error: it did not fail', 'and no caller is forgotten')
})
