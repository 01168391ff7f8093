/** Tests of restarts of a real process: the entries in memory when `/readyz` first answers 200. */
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import { migrate } from '../../src/postgres/schema/migrate.js'
import { CliProcess, type Served, serve, untilLive } from '../support/child-process.js'
import { cacheDatabase, type FreshDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { guestOf } from '../support/guest.js'
import type { JsonClient } from '../support/json-client.js'

/** Writes the keys k1 to kN, in this order. */
async function databaseOf(t: Test, count: number): Promise<FreshDatabase> {
  const database = await cacheDatabase(t)
  await database.query(
    `insert into cache_entries (key, value) select 'k' || n, 'of ' || n from generate_series(1, $1::int) as n`,
    [count],
  )
  return database
}

const readiness = async ({ ops }: { readonly ops: JsonClient }) => {
  const { status, body } = await ops.request('GET', '/readyz?verbose')
  return { ...body, status }
}

const untilReady = (sidecar: Served) => eventually(async () => (await readiness(sidecar)).status === 200)

const stop = async (sidecar: Served) => {
  sidecar.kill('SIGTERM')
  t.match(await sidecar.exited, { code: 0 }, sidecar.stderr)
}

/** Those of the keys that are answered from memory. */
async function held({ client }: Served, keys: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const key of keys) {
    const { status } = await client.request('GET', `/cache/get?key=${key}`, {
      headers: { 'Cache-Control': 'only-if-cached' },
    })
    if (status === 200) found.push(key)
  }
  return found
}

const logged = ({ log }: Served, message: string) => log.filter(({ msg }) => msg === message)

/** Waits for lines of the log: they come by a pipe, perhaps later than the answer to a request. */
async function told(sidecar: Served, message: string) {
  await eventually(() => logged(sidecar, message).length > 0)
  return logged(sidecar, message)
}

/** Locks the table against every statement until the returned function is called. */
async function lockTable(t: Test, { url }: FreshDatabase): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  await client.query('begin; lock table cache_entries in access exclusive mode')
  t.teardown(() => client.end())
  return async () => void (await client.query('rollback'))
}

t.test('hot: entries read before a restart are in memory when the sidecar is ready', async (t) => {
  const { url, query } = await databaseOf(t, 20)
  const state = t.testdir()
  const environment = { DATABASE_URL: url, CACHE_WARM: 'hot', CACHE_STATE_DIR: state }
  const list = join(state, 'hot-keys')

  const first = await serve(t, environment)
  await untilReady(first)
  t.match(await told(first, 'there is no list of hot keys yet'), [{ path: list }])
  for (const key of ['k3', 'k7', 'k5', 'k9', 'k3']) await first.client.held(key)
  await stop(first)
  t.match(readFileSync(list, 'utf8').split('\n').slice(1, 5), ['"k3"', '"k9"', '"k5"', '"k7"'])

  await query(`update cache_entries set value = 'new' where key = 'k5'`)
  await query(`delete from cache_entries where key = 'k9'`)
  const second = await serve(t, environment)
  await untilReady(second)
  t.match(await told(second, 'warm-up completed'), [{ from: 'hot', put: 3, asked: 4, keys: 4 }])
  t.match(
    await second.client.get('k5'),
    { body: { value: 'new', source: 'cache' } },
    'the list has no values',
  )
  t.same(await held(second, ['k3', 'k5', 'k7', 'k9', 'k1']), ['k3', 'k5', 'k7'])
  t.match(await second.client.stats(), { warmed: 3, misses: 0 })
  const { text } = await second.ops.request('GET', '/metrics')
  t.match(text, /^caching_layer_warmed_total 3$/m)
  await query(`update cache_entries set value = 'newer' where key = 'k3'`)
  await eventually(async () => (await second.client.value('k3')) === 'newer')
  t.notMatch(second.stderr, '"k3"', 'no key in the log')

  await t.test('a killed sidecar leaves its previous list', async (t) => {
    await second.client.held('k1')
    second.kill('SIGKILL')
    await second.exited
    const third = await serve(t, environment)
    await untilReady(third)
    t.same(await held(third, ['k1', 'k3', 'k5', 'k7']), ['k3', 'k5', 'k7'])
    await stop(third)
  })

  await t.test('a damaged list is ignored and replaced by a complete one', async (t) => {
    appendFileSync(list, 'x')
    const fourth = await serve(t, environment)
    await untilReady(fourth)
    t.match(await told(fourth, 'ignoring the list of hot keys'), [
      { path: list, reason: 'it is incomplete or was changed' },
    ])
    t.match(await fourth.client.stats(), { size: 0, warmed: 0 })
    await fourth.client.held('k2')
    await stop(fourth)
    const fifth = await serve(t, environment)
    await untilReady(fifth)
    t.same(await held(fifth, ['k2', 'k3']), ['k2'])
  })
})

t.test('hot: a list that cannot be written is logged, and everything else continues', async (t) => {
  const { url } = await databaseOf(t, 1)
  const state = join(t.testdir({ file: '' }), 'file')
  const sidecar = await serve(t, { DATABASE_URL: url, CACHE_WARM: 'hot', CACHE_STATE_DIR: state })
  await untilReady(sidecar)
  await eventually(() => logged(sidecar, 'cannot write the list of hot keys').length === 1)
  t.equal(await sidecar.client.held('k1'), 'of 1')
  await stop(sidecar)
})

t.test('recent:N: the sidecar is unready until warming ends, but answers requests', async (t) => {
  const database = await databaseOf(t, 30)
  await database.query(`update cache_entries set value = 'again' where key = 'k2'`)
  const unlock = await lockTable(t, database)
  const environment = { DATABASE_URL: database.url, DATABASE_TIMEOUT_MS: '60000' }
  const sidecar = await serve(t, { ...environment, CACHE_WARM: 'recent:5' }, ['--no-migrate'])
  await untilLive(sidecar)
  t.match(await readiness(sidecar), { status: 503, reasons: ['the cache is warming up'] })
  t.match(await sidecar.ops.request('GET', '/startupz'), { status: 200 })
  t.match(await sidecar.client.request('GET', '/health'), { body: { status: 'ok', feed: 'live' } })

  await unlock()
  await untilReady(sidecar)
  t.same(await held(sidecar, ['k30', 'k29', 'k28', 'k27', 'k26', 'k2', 'k1']), [
    'k30',
    'k29',
    'k28',
    'k27',
    'k2',
  ])
})

t.test('recent:N: warming stops at the capacity', async (t) => {
  const { url } = await databaseOf(t, 30)
  const sidecar = await serve(t, { DATABASE_URL: url, CACHE_WARM: 'recent:20', CACHE_CAPACITY: '10' })
  await untilReady(sidecar)
  t.match(await sidecar.client.stats(), { size: 10, warmed: 10, evictions: 0 })
})

t.test('a database that hangs delays warming by the configured time at most', async (t) => {
  const database = await databaseOf(t, 30)
  await lockTable(t, database)
  const sidecar = await serve(
    t,
    {
      DATABASE_URL: database.url,
      DATABASE_TIMEOUT_MS: '60000',
      CACHE_WARM: 'recent:5',
      CACHE_WARM_TIMEOUT_MS: '300',
      CACHE_SHUTDOWN_TIMEOUT_MS: '500',
    },
    ['--no-migrate'],
  )
  await untilReady(sidecar)
  t.match(await told(sidecar, 'warm-up incomplete'), [
    { from: 'recent', put: 0, reason: 'CACHE_WARM_TIMEOUT_MS has passed' },
  ])
  await stop(sidecar)
})

t.test('a sidecar that is stopped during warming ends at once and keeps its list', async (t) => {
  const database = await databaseOf(t, 3)
  const state = t.testdir()
  const environment = { DATABASE_URL: database.url, CACHE_WARM: 'hot', CACHE_STATE_DIR: state }
  const first = await serve(t, environment)
  await untilReady(first)
  for (const key of ['k1', 'k2']) await first.client.held(key)
  await stop(first)
  const list = readFileSync(join(state, 'hot-keys'), 'utf8')

  await lockTable(t, database)
  const slow = { DATABASE_TIMEOUT_MS: '60000', CACHE_SHUTDOWN_DELAY_MS: '60000' }
  const second = await serve(t, { ...environment, ...slow }, ['--no-migrate'])
  await untilLive(second)
  second.kill('SIGTERM')
  t.match(await told(second, 'warm-up incomplete'), [{ reason: 'the sidecar is shutting down' }])
  t.equal(second.hasExited, false, 'while it serves on')
  second.kill('SIGTERM')
  await second.exited
  t.equal(readFileSync(join(state, 'hot-keys'), 'utf8'), list)
})

t.test('file:PATH: the keys in the file are warmed', async (t) => {
  const { url } = await databaseOf(t, 9)
  const folder = t.testdir({ keys: 'k4\nnone\n\nk6\r\n' })
  const environment = { DATABASE_URL: url, CACHE_WARM: `file:${join(folder, 'keys')}` }
  const sidecar = await serve(t, environment)
  await untilReady(sidecar)
  t.match(await told(sidecar, 'warm-up completed'), [{ from: 'file', put: 2, asked: 3 }])
  t.same(await held(sidecar, ['k4', 'k5', 'k6', 'none']), ['k4', 'k6'])
  await stop(sidecar)

  rmSync(join(folder, 'keys'))
  const without = await serve(t, environment)
  await untilReady(without)
  t.match(await told(without, 'warm-up failed'), [{ from: 'file', reason: /^ENOENT/ }])
})

t.test('without a database the sidecar starts, and warms once there is one', async (t) => {
  const database = await databaseOf(t, 5)
  const guest = await guestOf(t, database)
  await migrate(database.url, { owner: guest.name })
  await guest.shutOut()
  const folder = t.testdir()
  writeFileSync(join(folder, 'hot-keys'), 'not looked at before the first catch-up')
  const sidecar = await serve(
    t,
    { DATABASE_URL: guest.url, CACHE_WARM: 'recent:5', CACHE_WARM_TIMEOUT_MS: '2000' },
    ['--no-migrate'],
  )
  const startedMs = performance.now()
  t.match(await readiness(sidecar), { status: 503, reasons: [/^has not caught up/] })
  t.match(await sidecar.client.set('kept', 1), { body: { db_written: false } })
  await eventually(() => performance.now() - startedMs > 2_500)
  await guest.letIn()
  await untilReady(sidecar)
  t.match(await sidecar.client.stats(), { warmed: 5 }, 'the timeout began when there was a database')

  await guest.shutOut()
  const hot = { DATABASE_URL: guest.url, CACHE_WARM: 'hot', CACHE_STATE_DIR: folder }
  const never = await serve(t, hot, ['--no-migrate'])
  await stop(never)
  t.equal(readFileSync(join(folder, 'hot-keys'), 'utf8'), 'not looked at before the first catch-up')
})

t.test('invalid settings prevent the start', async (t) => {
  const refused = async (environment: Record<string, string>) => {
    const command = new CliProcess(t, ['serve'], environment)
    return [(await command.exited).code, command.stderr]
  }
  t.same(await refused({ CACHE_WARM: 'hot' }), [
    2,
    'caching-layer: CACHE_WARM: hot needs CACHE_STATE_DIR for its list, which is not set\n',
  ])
  t.match(await refused({ CACHE_WARM: 'recent' }), [
    2,
    /^caching-layer: CACHE_WARM: must be off, recent:N .*\n$/,
  ])
})
