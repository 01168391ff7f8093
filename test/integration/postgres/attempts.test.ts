import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import t, { type Test } from 'tap'
import { Attempts } from '../../../src/postgres/pool/attempts.js'
import { Database } from '../../../src/postgres/pool/database.js'
import { SchemaName } from '../../../src/postgres/schema/schema-name.js'
import { PostgresStore } from '../../../src/postgres/store/store.js'
import { cacheDatabase } from '../../support/database.js'
import { DrivenClock } from '../../support/driven-clock.js'
import { eventually } from '../../support/eventually.js'
import { proxyTo } from '../../support/half-open-proxy.js'
import { recordingLog } from '../../support/recording-log.js'
import { startLiveSidecar } from '../../support/sidecar.js'
import { silentServer } from '../../support/silent-server.js'

const fresh = await cacheDatabase(t)
await fresh.query('create table numbers (n int)')
await fresh.query('create sequence attempt')
/** Fails so many times with this SQLSTATE. A sequence counts the calls, because a rollback does not reset it. */
await fresh.query(`create function fails(times int, state text) returns int language plpgsql as $$
  begin
    if nextval('attempt') <= times then raise exception using errcode = state; end if;
    return 1;
  end $$`)

t.beforeEach(async () => {
  await fresh.query('alter sequence attempt restart')
  await fresh.query('truncate numbers')
})

const clock = { now: () => performance.now(), defer: setImmediate }

function attemptsOn(t: Test, url: string, timeoutMs = 5_000) {
  const { log, logged } = recordingLog()
  const database = new Database({ url, poolSize: 2, timeoutMs, log })
  t.teardown(() => database.close())
  const attempts = new Attempts({ clock, log, timeoutMs })
  return {
    attempts,
    database,
    logged,
    read: (sql: string) => attempts.run(() => database.read(sql)),
    write: (sql: string) => attempts.run(() => database.write(sql, [])),
  }
}

t.test('a serialization failure or a deadlock is retried, for a write too', async (t) => {
  for (const state of ['40001', '40P01']) {
    const { attempts, write } = attemptsOn(t, fresh.url)
    await fresh.query('alter sequence attempt restart')
    await write(`insert into numbers select fails(2, '${state}')`)
    t.match(attempts.status(), { retries: 2, breaker: 'closed', opened: 0 })
  }
  t.equal((await fresh.query('select from numbers')).rows.length, 2, 'each once')
})

t.test('an error that would recur or may have had an effect is not retried', async (t) => {
  for (const [state, code] of [
    ['23505', 'refused'],
    ['55P03', 'row-locked'],
    ['57014', 'store-busy'],
    ['42501', 'forbidden'],
  ] as const) {
    const { attempts, write } = attemptsOn(t, fresh.url)
    await t.rejects(write(`insert into numbers select fails(1000, '${state}')`), { code })
    t.match(attempts.status(), { retries: 0, breaker: 'closed' }, state)
  }
  await fresh.query('alter sequence attempt restart')
  const { attempts, write } = attemptsOn(t, fresh.url)
  const lost = `with counted as materialized (select nextval('attempt') as n)
    insert into numbers select n from counted, lateral (select pg_terminate_backend(pg_backend_pid()) where n > 0) as end_of_it`
  await t.rejects(write(lost), { code: 'outcome-unknown' })
  t.match(attempts.status(), { retries: 0 })
  t.equal((await fresh.query('select last_value::int from attempt')).rows[0]?.last_value, 1)
})

t.test('a statement that keeps failing is given up in time', async (t) => {
  const { attempts, write } = attemptsOn(t, fresh.url, 3_000)
  await t.rejects(write("insert into numbers select fails(1000000, '40001')"), { code: 'row-locked' })
  t.ok(attempts.status().retries > 0)
  t.ok(attempts.status().retries < 20, 'with pauses')
})

t.test('conflicts have their own limit of attempts', async (t) => {
  for (const maxConflicts of [0, 2]) {
    await fresh.query('alter sequence attempt restart')
    const { attempts, database } = attemptsOn(t, fresh.url)
    const attempt = () => database.write("insert into numbers select fails(1000000, '40001')", [])
    await t.rejects(attempts.run(attempt, maxConflicts), { code: 'row-locked' })
    t.match(attempts.status(), { retries: maxConflicts })
  }
})

t.test('a write of many rows with conflicts is not sent again and again', async (t) => {
  const { attempts, database } = attemptsOn(t, fresh.url)
  await fresh.query(`create function conflict() returns trigger language plpgsql as $$ begin
    raise exception using errcode = '40001'; end $$`)
  await fresh.query(
    'create trigger a_conflict before insert on cache_entries for each row execute function conflict()',
  )
  t.teardown(() => fresh.query('drop trigger a_conflict on cache_entries'))
  const store = new PostgresStore({ database, attempts, schema: new SchemaName(database) })
  const [one, two] = ['a', 'b'].map((key) => ({ key, value: '"v"' }))
  if (!one || !two) return t.fail()
  const retriesOf = async (...write: Parameters<typeof store.write>) => {
    const { retries } = attempts.status()
    await t.rejects(store.write(...write), { code: 'row-locked' })
    return attempts.status().retries - retries
  }
  t.equal(await retriesOf([one, two]), 2)
  t.equal(await retriesOf([one, two], {}), 0)
  t.equal(await retriesOf([one], {}), 0)
  t.ok((await retriesOf([one])) > 2)
})

t.test('too many connections are retried until there is one', async (t) => {
  await fresh.query('create role few login connection limit 0')
  t.teardown(() => fresh.query('drop role few'))
  const url = Object.assign(new URL(fresh.url), { username: 'few', password: '' }).href
  const { attempts, read } = attemptsOn(t, url)
  const answer = read('select 1 as one')
  await eventually(() => attempts.status().retries > 0)
  await fresh.query('alter role few connection limit 5')
  t.strictSame(await answer, [{ one: 1 }])
})

/** A port without a listener. */
async function closedPort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  await new Promise((resolve) => listener.close(resolve))
  return port
}

t.test('a dead database costs the first request some attempts, and the next ones nothing', async (t) => {
  const { attempts, logged, read } = attemptsOn(
    t,
    `postgresql://nobody@127.0.0.1:${await closedPort()}/nothing`,
  )
  await t.rejects(read('select 1'), { code: 'store-unavailable', message: /a moment ago/ })
  t.match(attempts.status(), { breaker: 'open', retries: 5, opened: 1 })
  t.equal(logged.filter(({ message }) => /requests no longer wait/.test(message)).length, 1)
  for (let count = 0; count < 100; count++)
    await t.rejects(read('select 1'), { code: 'store-unavailable', message: /a moment ago/ })
  t.match(attempts.status(), { retries: 5 })
})

t.test('few requests wait for a database that does not respond, later one at a time', async (t) => {
  const { url, connections } = await silentServer(t)
  const { attempts, read } = attemptsOn(t, url, 100)
  for (let count = 0; count < 5; count++) await t.rejects(read('select 1'))
  t.equal(attempts.status().breaker, 'open')
  const before = connections()
  await Promise.all(
    Array.from({ length: 50 }, () => t.rejects(read('select 1'), { message: /a moment ago/ })),
  )
  t.equal(connections(), before, 'no connection was tried')
  await eventually(async () => {
    await Promise.allSettled(Array.from({ length: 50 }, () => read('select 1')))
    return connections() > before
  })
  t.equal(connections(), before + 1, 'one tried for all')
})

t.test('the breaker closes when the database is back', async (t) => {
  const proxy = await proxyTo(t, fresh.url)
  const { attempts, logged, read } = attemptsOn(t, proxy.url, 200)
  proxy.freeze()
  while (attempts.status().breaker !== 'open') await read('select 1').catch(() => undefined)
  proxy.thaw()
  t.strictSame(await eventually(() => read('select 1 as one')), [{ one: 1 }])
  t.match(attempts.status(), { breaker: 'closed', opened: 1 })
  t.ok(logged.some(({ message }) => message === 'the database is reachable again'))
})

/** Statements that are sent while the breaker is open: those of the feed and of pending writes. */
const neverTurnedAway: Readonly<Record<string, (store: PostgresStore) => Promise<unknown>>> = {
  position: (store) => store.position(),
  'position and mark': (store) => store.position('1'),
  mark: (store) => store.mark(),
  versions: (store) => store.versions(['k'], 'another'),
  settle: (store) => store.settle([], () => undefined),
  'outcome of a transaction': (store) => store.outcomeOf({ id: '1', epoch: 'another' }, []),
}

for (const [name, send] of Object.entries(neverTurnedAway)) {
  t.test(`an answer to the feed closes the breaker: ${name}`, async (t) => {
    await closesTheBreaker(t, send)
  })
}

async function closesTheBreaker(t: Test, send: (store: PostgresStore) => Promise<unknown>): Promise<void> {
  const { log } = recordingLog()
  const database = new Database({ url: fresh.url, poolSize: 1, timeoutMs: 5_000, log })
  t.teardown(() => database.close())
  const attempts = new Attempts({ clock: new DrivenClock(), log, timeoutMs: 5_000 })
  const store = new PostgresStore({ database, attempts, schema: new SchemaName(database) })
  const lost = () =>
    attempts.run(() =>
      new Database({ url: 'postgresql://nobody@127.0.0.1:1/no', poolSize: 1, timeoutMs: 100, log }).read(
        'select 1',
      ),
    )
  await t.rejects(lost())
  t.equal(attempts.status().breaker, 'open')
  await t.rejects(
    store.read([{ key: 'k' }]),
    { message: /a moment ago/ },
    'a request of the feed itself is not turned away',
  )
  await send(store)
  t.equal(attempts.status().breaker, 'closed')
  t.match((await store.read([{ key: 'k' }])).get('k'), { version: undefined })
}

t.test('the statistics show the breaker', async (t) => {
  const proxy = await proxyTo(t, fresh.url)
  const { client, ops } = await startLiveSidecar(t, { databaseUrl: proxy.url, databaseTimeoutMs: 200 })
  t.match((await client.stats()).database, { breaker: 'closed', retries: 0, opened: 0, refused: 0 })
  proxy.freeze()
  await eventually(async () => {
    await client.get('absent')
    return (await client.stats()).database.refused > 0
  })
  t.match((await ops.request('GET', '/metrics')).text, /^caching_layer_breaker_open 1$/m)
  proxy.thaw()
  await eventually(async () => (await client.get('absent')).status === 404)
  t.match((await client.stats()).database, { breaker: 'closed', opened: 1 })
})
