/** The parts of the page that are shown on request: the fleet, keys, the database and the settings. */
import t, { type Test } from 'tap'
import { loadConfig } from '../../../src/config/load.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { type StartOptions, startLiveSidecar, startSidecar } from '../../support/sidecar.js'

const { url, query } = await cacheDatabase(t)

const start = (t: Test, options: Partial<StartOptions> = {}) =>
  startLiveSidecar(t, { databaseUrl: url, ...options })

/** Listeners on free ports of loopback, whatever the settings say. */
const addresses = { port: 0, opsHost: '127.0.0.1', opsPort: 0, databaseListenUrl: url }

const names = ['fleet', 'keys', 'database', 'findings', 'settings']

t.test('views are for those who may see keys', async (t) => {
  const { ops } = await start(t)
  for (const name of names) {
    const path = `/ui/${name}`
    t.match(await ops.request('GET', path), { status: 200, headers: { 'cache-control': 'no-store' } }, name)
    const forwarded = await ops.request('GET', path, { headers: { 'X-Forwarded-For': '10.1.2.3' } })
    t.match(forwarded, { status: 403, body: { type: /#not-local$/ } }, name)
    const evil = await ops.request('GET', path, { headers: { Host: 'evil.example' } })
    t.equal(evil.status, 421, name)
    for (const site of ['cross-site', 'same-site']) {
      const linked = await ops.request('GET', path, { headers: { 'Sec-Fetch-Site': site } })
      t.match(linked, { status: 403, body: { type: /#web-page$/ } }, `${name}, ${site}`)
    }
    t.equal((await ops.request('POST', path)).status, 405, name)
  }
})

t.test('with a token, views need it', async (t) => {
  const { ops } = await startSidecar(t, { databaseUrl: url, apiToken: 'secret' })
  for (const name of names) {
    t.match(
      await ops.request('GET', `/ui/${name}`),
      { status: 401, headers: { 'www-authenticate': 'Bearer' } },
      name,
    )
    const headers = { Authorization: 'Bearer secret', 'X-Forwarded-For': '10.1.2.3' }
    t.equal((await ops.request('GET', `/ui/${name}`, { headers })).status, 200, name)
  }
})

t.test('without a page there are no views', async (t) => {
  const { ops } = await start(t, { hasPage: false })
  for (const name of names) t.equal((await ops.request('GET', `/ui/${name}`)).status, 404, name)
})

t.test('the fleet', async (t) => {
  await query('truncate cache_sidecars')
  const one = await start(t, { fleetIntervalMs: 100 })
  const two = await start(t, { fleetIntervalMs: 100 })
  await two.client.set('k', 1)
  let members: readonly { readonly isSelf: boolean; readonly hitRatio: number | null }[] = []
  const look = async () => {
    const { body } = await one.ops.request('GET', '/ui/fleet')
    members = body.members as typeof members
  }
  await eventually(async () => {
    await look()
    return members.length === 2
  })
  const portOf = ({ ops }: typeof one) => Number(new URL(ops.base).port)
  t.match(
    members.find(({ isSelf }) => isSelf),
    { pagePort: portOf(one) },
  )
  // It listens on loopback only, so it has no address for other machines.
  t.match(
    members.find(({ isSelf }) => !isSelf),
    { pagePort: portOf(two), status: 'ready', version: '0.0.0-test', address: null },
  )
  await eventually(async () => {
    await two.client.get('k')
    await look()
    return members.some(({ hitRatio }) => hitRatio === 1)
  })
})

t.test('keys', async (t) => {
  const { client, ops } = await start(t)
  await query(
    `insert into cache_entries (key, value, groups, expires_at) values
       ('view:1', 'secret value', array['g'], now() + interval '1 hour'), ('view:2', '2', null, null), ('other', '3', null, null)`,
  )
  await eventually(async () => (await client.held('view:1')) === 'secret value')
  const keys = (query: string, from = ops) => from.request('GET', `/ui/keys${query}`)
  const { body, text } = await keys('?prefix=view:')
  t.match(body, {
    hasValues: false,
    entries: [
      { key: 'view:1', bytes: 12, groups: ['g'], isHeld: true, version: /^\d+$/ },
      { key: 'view:2', bytes: 1, groups: { length: 0 }, isHeld: false, expiresInSeconds: null },
    ],
  })
  const [{ expiresInSeconds = 0 } = {}] = body.entries as { readonly expiresInSeconds?: number }[]
  t.ok(expiresInSeconds > 0 && expiresInSeconds <= 3_600)
  t.notMatch(text, 'secret value')
  t.match((await keys('?prefix=view:&after=view:1')).body, { entries: [{ key: 'view:2' }] })
  t.match(await keys('?prefix=%00'), { status: 422 })

  await query(
    "insert into cache_entries (key, value) select 'many:' || n, repeat('x', 2000) from generate_series(1, 60) n",
  )
  const withValues = await start(t, { showsValues: true })
  const page = (await keys('?prefix=many:', withValues.ops)).body
  const entries = page.entries as readonly { readonly key: string; readonly value: string }[]
  t.equal(entries.length, 50)
  t.equal(entries[0]?.value, `"${'x'.repeat(999)}…`, 'the beginning of a value')
  t.equal(page.next, entries.at(-1)?.key)

  const hashed = await start(t, { pageKeys: 'hash' })
  t.match(await keys('', hashed.ops), { status: 422, body: { detail: /CACHE_UI_KEYS=hash/ } })
})

t.test('the database and its bindings', async (t) => {
  await query('create table shown (id int primary key); insert into shown values (1)')
  await query("select cache_bind('shown', key => 'shown:{id}')")
  const { client, ops } = await start(t)
  await eventually(async () => (await client.get('shown:1')).status === 200)
  const database = async () => (await ops.request('GET', '/ui/database')).body
  t.match(await database(), {
    pool: { size: 2 },
    attempts: { breaker: 'closed' },
    facts: { serverVersion: /^\d+/, outboxRows: Number, migrations: Number, queueUsage: Number },
    bindings: [{ pattern: 'shown:{id}', source: 'table', announce: 'outbox', reads: { statements: Number } }],
  })
  const [binding] = (await database()).bindings as [
    { readonly hits: number; readonly misses: number; readonly reads: { readonly keys: number } },
  ]
  t.ok(binding.reads.keys >= 1)
  const { hits: before, misses } = binding
  t.ok(misses >= 1)
  await eventually(async () => (await client.get('shown:1')).body.source === 'cache')
  const [{ hits }] = (await database()).bindings as [typeof binding]
  t.ok(hits > before, 'a hit')
  await query('drop table shown')
  await eventually(async () => JSON.stringify((await database()).bindings).includes('"fault"'))
})

t.test('settings have their sources, and no secret', async (t) => {
  const password = 'not-to-be-seen'
  const { config, sources } = loadConfig({
    CACHE_CAPACITY: '77',
    CACHE_API_TOKEN: password,
    DATABASE_READ_URL: `postgresql://u:${password}@127.0.0.1:1/d`,
  })
  const { ops } = await startSidecar(t, {
    ...config,
    ...addresses,
    databaseUrl: url,
    settingSources: sources,
  })
  const headers = { Authorization: `Bearer ${password}` }
  const { body, text } = await ops.request('GET', '/ui/settings', { headers })
  const settings = body.settings as { readonly variable: string }[]
  t.match(
    settings.find(({ variable }) => variable === 'CACHE_CAPACITY'),
    {
      value: 77,
      default: 1_000,
      unit: 'entries',
      source: 'environment',
      reloads: true,
    },
  )
  t.match(
    settings.find(({ variable }) => variable === 'CACHE_API_TOKEN'),
    { value: '(a token)' },
  )
  t.notMatch(text, password)
})

t.test('the database is checked once at a time, and not again at once', async (t) => {
  let inspections = 0
  const { ops } = await start(t, {
    inspectDatabase: async () => {
      inspections++
      return [{ check: 'server', level: 'ok', says: 'PostgreSQL' }]
    },
  })
  const answers = await Promise.all([1, 2, 3].map(() => ops.request('GET', '/ui/findings')))
  for (const { body } of answers)
    t.match(body, { findings: [{ check: 'server', level: 'ok', says: 'PostgreSQL' }] })
  t.equal(inspections, 1)
})
