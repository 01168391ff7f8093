/**
 * Tests of data that are replaced without a notification: a table that is re-created, restored, swapped or rewound. The
 * versions must show it.
 */
import { execFile, spawnSync } from 'node:child_process'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import t, { type Test } from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { cacheDatabase, type FreshDatabase, freshDatabase, ownServer } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { FaultProxy } from '../../support/fault-proxy.js'
import type { JsonClient } from '../../support/json-client.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const boundMs = 1_000
const keys = Array.from({ length: 30 }, (_, index) => `key ${index}`)

/** Returns a script that writes another generation of values, like the seed script of a test suite. */
const seed = (generation: string) =>
  `insert into cache_entries (key, value) values ${keys.map((key) => `('${key}', '${generation}')`).join(', ')}`

async function run(url: string, ...statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    for (const sql of statements) await client.query(sql)
  } finally {
    await client.end()
  }
}

const at = (url: string, parts: object) => Object.assign(new URL(url), parts).href

/** A sidecar that holds all keys, behind a proxy that can keep it from its database; and a token of each key. */
async function sidecarOf(t: Test, url: string) {
  const proxy = new FaultProxy(Number(new URL(url).port))
  const port = String(await proxy.listen())
  t.teardown(() => proxy.close())
  const { client, log } = await startLiveSidecar(t, {
    databaseUrl: at(url, { port }),
    maxStalenessMs: boundMs,
  })
  const tokens = new Map<string, string>()
  for (const key of keys) {
    await client.held(key)
    tokens.set(
      key,
      String((await client.request('GET', `/cache/get?key=${key}`)).headers['cache-token'] ?? ''),
    )
  }
  const keepAway = async () => {
    proxy.set({ admission: 'refuse' })
    proxy.reset()
    await eventually(async () => (await client.stats()).feed.state === 'down')
  }
  return { client, proxy, log, keepAway }
}

/** Checks that no strong read is wrong, and that no default read is older than the bound. */
async function isRight(t: Test, client: JsonClient, expected: unknown, sinceMs: number): Promise<void> {
  await eventually(async () => {
    const askedMs = performance.now()
    let pending = 0
    for (const key of keys) {
      const strong = await client.request('GET', `/cache/get?key=${key}&consistency=strong`)
      if (strong.status === 503) pending++
      else if (strong.body.value !== expected)
        t.fail(`${key}: a strong read says ${strong.text}, ${strong.headers['cache-status']}`)
      const { status, body } = await client.get(key)
      if (body.value === expected || status === 503) continue
      pending++
      const isFresh = body.stale === undefined
      if (isFresh && askedMs - sinceMs > boundMs) t.fail(`${key}: ${JSON.stringify(body)} is served as fresh`)
    }
    return pending === 0
  })
  await eventually(async () => (await client.stats()).feed.state === 'live')
  for (const key of keys) t.equal(await client.held(key), expected, key)
}

/** Ways to replace all data, with a sidecar connected or disconnected. */
const replacements: Readonly<Record<string, (database: FreshDatabase) => Promise<void>>> = {
  'the database is dropped and made again': async ({ url, name }) => {
    const server = at(url, { pathname: '/postgres' })
    await run(server, `drop database ${name} with (force)`, `create database ${name}`)
    await migrate(url)
    await run(url, seed('after'))
  },
  'the schema is dropped and made again': async ({ url }) => {
    await run(url, 'drop schema public cascade', 'create schema public')
    await migrate(url)
    await run(url, seed('after'))
  },
  'the table is dropped and made again': async ({ url }) => {
    await run(url, 'drop table cache_entries')
    await migrate(url)
    await run(url, seed('after'))
  },
  'another database takes its name': async ({ url, name }) => {
    const server = at(url, { pathname: '/postgres' })
    const other = `${name}_other`
    await run(server, `create database ${other}`)
    await migrate(at(url, { pathname: `/${other}` }))
    await run(at(url, { pathname: `/${other}` }), seed('after'))
    const terminate = `select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname in ('${name}', '${other}')`
    for (;;) {
      try {
        await run(server, terminate, `alter database ${name} rename to ${name}_old`)
        break
      } catch {
        // Somebody has connected in between.
      }
    }
    await run(server, `alter database ${other} rename to ${name}`, `drop database ${name}_old with (force)`)
  },
}

for (const [what, replace] of Object.entries(replacements)) {
  for (const isAway of [false, true]) {
    t.test(`${what}${isAway ? ', while the sidecar is disconnected' : ''}`, async (t) => {
      const database = await cacheDatabase(t)
      await database.query(seed('before'))
      const { client, proxy, keepAway } = await sidecarOf(t, database.url)
      if (isAway) {
        await keepAway()
        t.match((await client.set('key 0', 'kept')).body, { db_written: false })
        t.match((await client.set('never held', 'kept')).body, { db_written: false })
      }
      await replace(database)
      const sinceMs = performance.now()
      proxy.heal()
      if (isAway) await eventually(async () => (await client.stats()).writes.pending === 0)
      await isRight(t, client, 'after', sinceMs)
      if (isAway) {
        const { rows } = await database.query("select key from cache_entries where value = 'kept'")
        t.same(rows, [], 'nothing that was kept for the other data')
        t.match((await client.stats()).writes, { pending_settled: 0, pending_conflicts: 2 })
      }
    })
  }
}

const hasDump = spawnSync('pg_dump', ['--version']).error === undefined && process.env.PGDUMP !== 'off'
t.test(
  'pg_restore --clean into the same database',
  { skip: !hasDump && 'pg_dump is not installed' },
  async (t) => {
    const database = await freshDatabase(t)
    const { rows } = await database.query(
      "select current_setting('server_version_num')::int / 10000 as version",
    )
    const { stdout } = await promisify(execFile)('pg_dump', ['--version'])
    if (Number(/ (\d+)/.exec(stdout)?.[1]) < rows[0]?.version)
      return t.pass(`pg_dump is older than the server: ${stdout}`)
    await migrate(database.url)
    await database.query(seed('after'))
    const folder = t.testdir()
    const file = join(folder, 'dump')
    await promisify(execFile)('pg_dump', ['--format=custom', `--file=${file}`, database.url])
    await database.query("update cache_entries set value = 'before'")
    const { client, proxy, keepAway } = await sidecarOf(t, database.url)
    await keepAway()
    await promisify(execFile)('pg_restore', ['--clean', '--if-exists', `--dbname=${database.url}`, file])
    const sinceMs = performance.now()
    proxy.heal()
    await isRight(t, client, 'after', sinceMs)
  },
)

for (const caughtUp of [false, true]) {
  t.test(
    `a snapshot is put back${caughtUp ? ', and the writes since are more than the lost ones' : ''}`,
    async (t) => {
      const server = await ownServer(t)
      const url = server.url()
      await migrate(url)
      await run(url, seed('first'))
      await server.stop('fast')
      const snapshot = await mkdtemp(join(tmpdir(), 'caching-layer-test-'))
      t.teardown(() => rm(snapshot, { recursive: true, force: true }))
      await cp(server.dataDir, snapshot, { recursive: true, preserveTimestamps: true })
      await server.start()
      await run(url, "update cache_entries set value = 'before'")
      const { client, proxy, keepAway } = await sidecarOf(t, url)
      await keepAway()
      t.match((await client.set('key 0', 'kept')).body, { db_written: false })
      await server.stop('immediate')
      await rm(server.dataDir, { recursive: true })
      await promisify(execFile)('cp', ['-a', snapshot, server.dataDir])
      await promisify(execFile)('chown', ['-R', '--reference', snapshot, server.dataDir]).catch(
        () => undefined,
      )
      await restoreOwner(server.dataDir)
      await server.start()
      // The same statement draws the same numbers again, for the same keys.
      await run(url, "update cache_entries set value = 'after'")
      if (caughtUp)
        for (let more = 0; more < 5; more++) await run(url, "update cache_entries set value = 'after'")
      const sinceMs = performance.now()
      proxy.heal()
      await isRight(t, client, 'after', sinceMs)
      t.match((await client.stats()).writes, { pending: 0, pending_settled: 0, pending_conflicts: 1 })
    },
  )
}

/** Gives the folder back to the account of the server. */
async function restoreOwner(folder: string): Promise<void> {
  if (process.getuid?.() !== 0) return
  await promisify(execFile)('chown', ['-R', 'postgres:postgres', folder])
}

t.test('setval() backwards is noticed by a live sidecar and by a disconnected one', async (t) => {
  const database = await cacheDatabase(t)
  await database.query(seed('before'))
  const live = await sidecarOf(t, database.url)
  const away = await sidecarOf(t, database.url)
  await away.keepAway()
  const { rows } = await database.query<{ last: string }>('select last_value as last from cache_version')
  await database.query('select setval($1, $2)', ['cache_version', Number(rows[0]?.last) - keys.length])
  await database.query("update cache_entries set value = 'after'")
  await database.query("insert into cache_entries (key, value) values ('another', '1'), ('one more', '1')")
  const sinceMs = performance.now()
  away.proxy.heal()
  await isRight(t, live.client, 'after', sinceMs)
  await isRight(t, away.client, 'after', performance.now())
})

t.test('a pool on a new primary and a listener on the old one are noticed', async (t) => {
  const [old, present] = [await ownServer(t), await ownServer(t, {}, { isOnlyOne: true })]
  for (const server of [old, present]) {
    await migrate(server.url())
    await run(server.url(), seed('before'))
  }
  // Simulates a failover: the name leads elsewhere for new connections.
  let target = old.port
  const links = new Set<Socket>()
  const proxy = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.pipe(other)
      one.on('error', () => other.destroy()).on('close', () => other.destroy())
      links.add(one)
    }
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  t.teardown(() => proxy.close())
  const { port } = proxy.address() as AddressInfo
  const { client } = await startLiveSidecar(t, {
    databaseUrl: at(old.url(), { port: String(port) }),
    databaseListenUrl: old.url(),
    maxStalenessMs: boundMs,
  })
  for (const key of keys) await client.held(key)
  target = present.port
  for (const link of links) link.destroy()
  await run(present.url(), "update cache_entries set value = 'after'")
  const sinceMs = performance.now()
  await client.request('GET', '/cache/get?key=first contact&consistency=strong')
  await eventually(async () => {
    const askedMs = performance.now()
    const { body } = await client.get('key 0')
    if (body.value === 'before' && body.stale === undefined && askedMs - sinceMs > boundMs)
      t.fail(`served as fresh ${Math.round(askedMs - sinceMs)} ms later`)
    return body.value === 'after'
  })
  for (const key of keys) t.equal(await client.value(key), 'after', key)
  await eventually(async () =>
    /the same server/.test(String((await client.request('GET', '/health')).body.reason)),
  )
})

t.test('the epoch names history, database, table and sequence', async (t) => {
  const [one, two, model] = [await freshDatabase(t), await freshDatabase(t), await freshDatabase(t)]
  const epoch = async ({ query }: FreshDatabase) =>
    (await query('select cache_epoch() as epoch')).rows[0]?.epoch
  for (const { url } of [one, two, model]) await migrate(url)
  const copied = await freshDatabase(t, { template: model.name })
  t.not(await epoch(copied), await epoch(model), 'another database, with the same oids in it')
  const first = await epoch(one)
  t.match(first, /^\d{1,20}-[0-9A-F]{8}$/, 'as sidecars of 0.1 take it in tokens')
  const second = await epoch(two)
  t.not(second, first, 'another database')
  t.equal(await epoch(one), first)
  const { rows } = await one.query('select system_identifier::text as cluster from pg_control_system()')
  t.equal(first.split('-')[0], rows[0]?.cluster)
  await one.query(
    'alter table cache_entries rename to another; create table cache_entries (like another including all)',
  )
  t.not(await epoch(one), first, 'another table')
  await two.query('alter sequence cache_version rename to another; create sequence cache_version')
  t.not(await epoch(two), second, 'another sequence')
})

t.test('a number that the sequence draws again makes another version', async (t) => {
  const { query } = await cacheDatabase(t)
  const insert = async () => {
    await query("select setval('cache_version', 1, false)")
    await query('delete from cache_entries')
    const { rows } = await query<{ version: string }>(
      "insert into cache_entries (key, value) select n::text, '' from generate_series(1, 10) as n returning version",
    )
    return rows.map(({ version }) => BigInt(version))
  }
  const [first, again] = [await insert(), await insert()]
  const numbers = (versions: readonly bigint[]) => versions.map((version) => Number(version >> 24n))
  t.same(numbers(first), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 'in the high bits, so that later ones are higher')
  t.same(numbers(again), numbers(first))
  t.equal(new Set([...first, ...again]).size, 20)
})

t.test('what a provider refuses', async (t) => {
  const database = await cacheDatabase(t)
  const { rows } = await database.query('select cache_epoch() as epoch')
  for (const name of ['pg_control_system()', 'pg_current_wal_lsn()']) {
    await database.query(`revoke execute on function ${name} from public`)
    t.teardown(() => database.query(`grant execute on function ${name} to public`).catch(() => undefined))
  }
  const role = `test_${database.name.slice(5, 20)}`
  await database.query(`create role ${role} login password 'secret'`)
  t.teardown(async () => {
    await database.drop()
  })
  await database.query(`grant select, insert, update, delete on cache_entries to ${role}`)
  await database.query(`grant select, insert, delete on cache_marks to ${role}`)
  const url = at(database.url, { username: role, password: 'secret' })
  const { client } = await startLiveSidecar(t, { databaseUrl: url, migrate: false })
  t.match((await client.set('k', 1)).body, { db_written: true })
  t.equal(await client.held('k'), 1)
  const { headers } = await client.set('k', 2)
  t.match(headers['cache-token'], /\.0-[0-9A-F]{8}$/, 'an epoch without the cluster and the timeline')
  t.notMatch(headers['cache-token'], String(rows[0]?.epoch))
})

t.test('prepared transactions behave as docs/protocol.md says', async (t) => {
  const server = await ownServer(t, { max_prepared_transactions: '5' })
  await migrate(server.url())
  const client = new pg.Client({ connectionString: server.url() })
  await client.connect()
  t.teardown(() => client.end())
  await client.query("begin; insert into cache_entries (key, value) values ('k', 'v')")
  await t.rejects(
    client.query("prepare transaction 'mine'"),
    /cannot PREPARE a transaction that has executed.*NOTIFY/,
  )
})
