/** P12: times to live, across processes whose wall clocks are wrong, a standby, a backup and an earlier release. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { migrate } from '../../src/postgres/schema/migrate.js'
import { CliProcess, type Served, serve, untilLive } from '../support/child-process.js'
import { cacheDatabase, ownServer } from '../support/database.js'
import { earlierRelease } from '../support/earlier-release.js'
import { eventually } from '../support/eventually.js'
import { streamingStandbyOf } from '../support/streaming-standby.js'

/** Environment in which the wall clock of a process is ahead by so many hours. */
const wallClock = (hours: number) => ({
  NODE_OPTIONS: `--import=data:text/javascript,const%20now=Date.now;Date.now=()=>now()+${hours * 3_600_000}`,
})

/** All kinds of reads of a key. Each resolves to true if the key is there. */
const reads: Readonly<Record<string, (sidecar: Served, key: string, token: string) => Promise<boolean>>> = {
  default: async ({ client }, key) => (await client.get(key)).status === 200,
  strong: async ({ client }, key) =>
    (await client.request('GET', `/cache/get?key=${key}&consistency=strong`)).status === 200,
  'with a token': async ({ client }, key, token) =>
    (await client.request('GET', `/cache/get?key=${key}&token=${token}`)).status === 200,
  'of several keys': async ({ client }, key) =>
    (await client.request('POST', '/v1/entries:get', { body: { keys: [key] } })).text.includes(
      '"missing":[]',
    ),
  'of several keys, strong': async ({ client }, key) =>
    (
      await client.request('POST', '/v1/entries:get', { body: { keys: [key], consistency: 'strong' } })
    ).text.includes('"missing":[]'),
  'of a list': async ({ client }, key) =>
    (await client.request('GET', `/v1/entries?prefix=${key}`)).text.includes(`"${key}"`),
  'of a count': async ({ client }, key) =>
    (await client.request('GET', `/v1/entries:count?prefix=${key}`)).body.count === 1,
}

t.test('an expired row is never served, whatever the clock of a machine says', async (t) => {
  const server = await ownServer(t)
  const standby = await streamingStandbyOf(t, server)
  await migrate(server.url())
  const environment = { DATABASE_URL: server.url(), DATABASE_READ_URL: standby.url(), CACHE_TTL_SECONDS: '0' }
  const sidecars = await Promise.all(
    [0, 1_000, -1_000].map((hours) => serve(t, { ...environment, ...wallClock(hours) })),
  )
  await Promise.all(sidecars.map(untilLive))
  const [writer] = sidecars as [Served]
  const ahead = sidecars.map(({ log }) => Math.round((Number(log[0]?.time) - Date.now()) / 3_600_000))
  t.same(ahead, [0, 1_000, -1_000], 'the clocks are wrong')

  const session = new pg.Client({ connectionString: server.url() })
  await session.connect()
  t.teardown(() => session.end())
  const query = (text: string) => session.query(text)
  for (const by of sidecars) {
    const { body } = await by.client.request('POST', '/cache/set', {
      body: { key: 'k', value: 'v', ttl_seconds: 2 },
    })
    const token = String(body.token)
    const isOver = async () => {
      const { rows } = await query('select from cache_entries where expires_at <= clock_timestamp()')
      return rows.length === 1
    }
    const seen = new Set<string>()
    for (;;) {
      // Asked first: a read that begins after the end of the row must not find it.
      const isExpired = await isOver()
      for (const [kind, isThere] of Object.entries(reads)) {
        for (const sidecar of sidecars) {
          const found = await isThere(sidecar, 'k', token)
          if (found) seen.add(kind)
          if (isExpired) t.notOk(found, `a read ${kind}`)
        }
      }
      if (isExpired) break
    }
    t.ok(seen.has('default') && seen.has('strong'), [...seen].join(', '))
  }
  const backup = join(t.testdir(), 'entries.jsonl')
  const { code } = await new CliProcess(t, ['backup', `--file=${backup}`], { DATABASE_URL: server.url() })
    .exited
  t.equal(code, 0)
  t.notMatch(await readFile(backup, 'utf8'), /"k"/, 'a backup has no expired rows')
  t.equal((await query("select from cache_entries where key = 'k'")).rows.length, 1, 'the row is still there')
  await writer.client.set('k', 'again')
  for (const { client } of sidecars) await eventually(async () => (await client.value('k')) === 'again')
})

t.test(
  'sidecars remove expired rows, with settings that can change, and not while they are idle',
  async (t) => {
    const { url, query } = await cacheDatabase(t)
    const insert = (count: number) =>
      query(
        `insert into cache_entries (key, value, expires_at)
       select 'expired ' || n, 'x', now() - interval '1 minute' from generate_series(1, $1::int) as n`,
        [count],
      )
    const left = async () => (await query('select from cache_entries')).rowCount
    const brief = { DATABASE_URL: url, CACHE_MAX_STALENESS_MS: '300', CACHE_IDLE_AFTER_MS: '1000' }
    const settings = join(t.testdir({ 'settings.json': '{"CACHE_SWEEP_INTERVAL_MS":0}' }), 'settings.json')
    const one = await serve(t, { ...brief, CACHE_CONFIG_FILE: settings })
    await insert(2_500)
    await writeFile(settings, '{"CACHE_SWEEP_INTERVAL_MS":100}')
    await eventually(async () => {
      await one.client.get('k')
      return (await left()) === 0
    })
    const { database } = (await one.client.stats()) as unknown as { database: Record<string, number> }
    t.equal(database.expired_rows_removed, 2_500)
    const { status, text } = await one.ops.request('GET', '/metrics')
    t.equal(status, 200, one.stderr)
    t.match(text, /^caching_layer_expired_rows_removed_total 2500$/m)

    await eventually(async () => (await one.client.stats()).feed.state === 'idle')
    await insert(10)
    // A second one that is not idle would have removed them in this time; this one has sent nothing.
    await eventually(
      async () =>
        (
          await query(
            `select from pg_stat_activity where datname = current_database() and application_name = 'caching-layer'
             and state_change > clock_timestamp() - interval '1 s'`,
          )
        ).rowCount === 0,
    )
    t.equal(await left(), 10, 'an idle sidecar lets the database sleep')
    await eventually(async () => {
      await one.client.get('k')
      return (await left()) === 0
    })
  },
)

t.test('a sidecar of 0.1 honours times to live, and goes on beside sweeps', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const [old, now] = await Promise.all([
    serve(t, { DATABASE_URL: url }, ['--no-migrate'], { release: await earlierRelease('0.1.0') }),
    serve(t, { DATABASE_URL: url }),
  ])
  await Promise.all([old, now].map(untilLive))
  await now.client.request('POST', '/cache/set', { body: { key: 'k', value: 'v', ttl_seconds: 1.5 } })
  t.equal(await old.client.value('k'), 'v')
  for (const { client } of [old, now]) await eventually(async () => (await client.get('k')).status === 404)
  await now.client.request('POST', '/cache/set', { body: { key: 'k', value: 'v', ttl_seconds: 60 } })
  await eventually(async () => (await old.client.value('k')) === 'v')
  t.match((await old.client.set('k', 'by the old one')).body, { db_written: true })
  t.same((await query('select expires_at from cache_entries')).rows, [{ expires_at: null }])
  await eventually(async () => (await now.client.value('k')) === 'by the old one')

  await query(
    "insert into cache_entries (key, value, expires_at) values ('past', 'x', now() - interval '1 hour')",
  )
  t.equal((await old.client.delete('past')).status, 200)
  await untilLive(old)
  await now.client.set('k', 'at last')
  await eventually(async () => (await old.client.value('k')) === 'at last')
})
