import t, { type Test } from 'tap'
import { migrate } from '../../src/postgres/schema/migrate.js'
import { serve } from '../support/child-process.js'
import { cacheDatabase, type FreshDatabase, ownServer } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { proxyTo } from '../support/half-open-proxy.js'
import type { JsonClient } from '../support/json-client.js'
import { startLiveSidecar } from '../support/sidecar.js'

/** Settings with a probe every 167 ms, so that two seconds without one mean that there are none. */
const brief = {
  CACHE_MAX_STALENESS_MS: '500',
  CACHE_IDLE_AFTER_MS: '400',
  CACHE_TTL_SECONDS: '0',
  CACHE_FLEET_INTERVAL_MS: '100',
}

const stateOf = async (client: JsonClient) => (await client.stats()).feed.state
const untilIdle = (client: JsonClient) => eventually(async () => (await stateOf(client)) === 'idle')
const verdict = async (ops: JsonClient) => ops.request('GET', '/readyz?verbose')

async function connections({ query, name }: FreshDatabase): Promise<readonly string[]> {
  const { rows } = await query<{ application: string }>(
    `select application_name as application from pg_stat_activity
     where datname = $1 and application_name like 'caching-layer%'`,
    [name],
  )
  return rows.map(({ application }) => application)
}

/** Resolves when the only session is one that listens and has sent nothing for two seconds. */
function untilQuiet({ query, name }: FreshDatabase): Promise<unknown> {
  return eventually(
    async () => {
      const { rows } = await query<{ application: string; quiet: boolean }>(
        `select application_name as application, state = 'idle' and clock_timestamp() - state_change > interval '2 s' as quiet
         from pg_stat_activity where datname = $1 and application_name like 'caching-layer%'`,
        [name],
      )
      return rows.length === 1 && rows[0]?.application === 'caching-layer changes' && rows[0].quiet
    },
    { withinMs: 60_000 },
  )
}

/** A served sidecar that has `a` and `b` in memory and is idle. */
async function idleSidecar(t: Parameters<typeof serve>[0], database: FreshDatabase, whenIdle: string) {
  const sidecar = await serve(t, { ...brief, DATABASE_URL: database.url, CACHE_WHEN_IDLE: whenIdle })
  await eventually(async () => {
    await sidecar.client.set('a', 1)
    await sidecar.client.set('b', 1)
    return (await sidecar.client.held('a')) === 1 && (await sidecar.client.held('b')) === 1
  })
  await untilIdle(sidecar.client)
  return sidecar
}

/** Checks that a sidecar that wakes does not serve changed entries and serves unchanged ones. */
async function wakesRight(t: Test, sidecar: { readonly client: JsonClient }, { query }: FreshDatabase) {
  const { client } = sidecar
  await query(`update cache_entries set value = '2' where key = 'a'`)
  t.match((await client.get('a')).body, { value: 2, source: 'db' }, 'the request that wakes it')
  await eventually(async () => {
    // In use: on a slow machine, it would be idle again before it has compared.
    await client.get('a')
    return (await stateOf(client)) === 'live'
  })
  t.equal(await client.held('b'), 1, 'compared')
  t.match((await client.get('a')).body, { value: 2 })
  t.match((await client.stats()).feed, { losses: 0 })
}

t.test('an idle sidecar is ready and sends nothing; the next request wakes it', async (t) => {
  const database = await cacheDatabase(t)
  const sidecar = await idleSidecar(t, database, 'listen')
  await untilQuiet(database)
  t.match(await verdict(sidecar.ops), {
    status: 200,
    body: { status: 'idle', reasons: { length: 0 }, feed: 'idle' },
  })
  t.match((await sidecar.client.request('GET', '/health')).body, {
    status: 'ok',
    feed: 'idle',
    reason: 'idle until the next request',
  })
  const { text } = await sidecar.ops.request('GET', '/metrics')
  t.match(text, 'caching_layer_feed_state{state="idle"} 1')
  t.match(text, 'caching_layer_readiness{status="idle"} 1')
  t.equal(await stateOf(sidecar.client), 'idle', 'none of these wakes it')
  await wakesRight(t, sidecar, database)
  await untilIdle(sidecar.client)
})

t.test('disconnect: an idle sidecar has no connection', async (t) => {
  const database = await cacheDatabase(t)
  const sidecar = await idleSidecar(t, database, 'disconnect')
  await eventually(async () => (await connections(database)).length === 0, { withinMs: 60_000 })
  t.match(await verdict(sidecar.ops), { status: 200, body: { status: 'idle' } })
  t.match(await sidecar.ops.request('GET', '/ui/fleet'), {
    status: 200,
    body: { obstacle: 'idle', members: Array },
  })
  const { rows } = await database.query('select may_be_idle from cache_sidecars')
  t.same(rows, [{ may_be_idle: true }], 'its last heartbeat has said so')
  t.same(await connections(database), [], 'a look at the fleet does not wake it')
  await wakesRight(t, sidecar, database)
  await untilIdle(sidecar.client)
})

t.test('a session lost while idle is re-established by the next request', async (t) => {
  const database = await cacheDatabase(t)
  const sidecar = await idleSidecar(t, database, 'listen')
  await untilQuiet(database)
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'caching-layer changes' and datname = $1`,
    [database.name],
  )
  await eventually(async () => (await connections(database)).length === 0)
  t.match(await verdict(sidecar.ops), { status: 200, body: { status: 'idle' } })
  await wakesRight(t, sidecar, database)
})

t.test('SIGTERM ends an idle sidecar', async (t) => {
  const database = await cacheDatabase(t)
  for (const whenIdle of ['listen', 'disconnect']) {
    const sidecar = await idleSidecar(t, database, whenIdle)
    sidecar.kill('SIGTERM')
    t.match(await sidecar.exited, { code: 0 })
    t.notMatch(sidecar.stderr, /not closed within/)
  }
})

t.test('a pool that leads to another server after an idle phase proves nothing of the old one', async (t) => {
  const [before, after] = await Promise.all([ownServer(t), ownServer(t, {}, { isOnlyOne: true })])
  await migrate(after.url())
  const proxy = await proxyTo(t, before.url())
  const { client } = await startLiveSidecar(t, {
    databaseUrl: proxy.url,
    databaseListenUrl: before.url(),
    maxStalenessMs: 500,
    idleAfterMs: 400,
  })
  await client.set('a', 1)
  await untilIdle(client)
  await eventually(async () => ((await client.stats()).feed.lease_age_ms ?? 0) > 500)
  proxy.leadTo(after.url())
  proxy.cut()
  t.equal((await client.get('a')).status, 404, 'the new one does not have it')
  await eventually(async () =>
    /notifications do not arrive/.test(String((await client.request('GET', '/health')).body.reason)),
  )
  t.equal((await client.get('a')).status, 404)
})
