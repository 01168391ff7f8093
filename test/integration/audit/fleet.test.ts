import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { audit } from '../../../src/cli/commands/audit.js'
import { loadConfig } from '../../../src/config/load.js'
import { Audit } from '../../../src/tools/audit/audit.js'
import { cacheDatabase, type FreshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import type { JsonClient } from '../../support/json-client.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const maxStalenessMs = 500
const keys = Array.from({ length: 60 }, (_, index) => `key ${index}`)
const any = () => keys[Math.floor(Math.random() * keys.length)] as string

/** Reads, writes and deletes through all sidecars and by SQL, until the test ends. */
function traffic(t: Test, clients: readonly JsonClient[], database: FreshDatabase): void {
  let count = 0
  let over = false
  const acts = [
    ...clients.flatMap((client) => [
      () => client.set(any(), { count: count++ }),
      () => client.set(any(), 'the same'),
      () => client.delete(any()),
    ]),
    () => database.query('update cache_entries set value = $1 where key = $2', [`SQL ${count++}`, any()]),
    () => database.query('delete from cache_entries where key = $1', [any()]),
    () =>
      database.query(
        `insert into cache_entries (key, value, expires_at) values ($1, 'v', now() + interval '300 ms')
         on conflict (key) do update set value = 'short', expires_at = excluded.expires_at`,
        [any()],
      ),
  ]
  const write = async () => {
    while (!over) {
      await acts[Math.floor(Math.random() * acts.length)]?.()
      await sleep(10)
    }
  }
  const read = async (client: JsonClient) => {
    while (!over) {
      await client.get(any())
      await sleep(1)
    }
  }
  const running = Promise.all([write(), write(), ...clients.map(read)])
  t.teardown(() => {
    over = true
    return running
  })
}

async function fleet(t: Test) {
  const database = await cacheDatabase(t)
  const options = { databaseUrl: database.url, maxStalenessMs }
  const first = await startLiveSidecar(t, options)
  const second = await startLiveSidecar(t, options)
  return { database, clients: [first.client, second.client] }
}

/** The command, as main.ts runs it. */
function command(database: FreshDatabase, positionals: readonly string[], values: [string, string][] = []) {
  const stop = new AbortController()
  const out: string[] = []
  const notes: string[] = []
  const progress: string[] = []
  const exit = audit.run({
    flags: new Set(['json']),
    values: new Map([['sample', '1'], ...values]),
    lists: new Map(),
    positionals,
    environment: { DATABASE_URL: database.url, CACHE_MAX_STALENESS_MS: String(maxStalenessMs) },
    stop: stop.signal,
    out: (line) => out.push(line),
    note: (line) => notes.push(line),
    progress: (line) => progress.push(line),
    onHangup: () => {},
    isTerminal: false,
    stdin: () => process.stdin,
    stdout: () => process.stdout,
  })
  return { exit, stop, out, notes, progress }
}

t.test('a correct fleet has no violation', async (t) => {
  const { database, clients } = await fleet(t)
  traffic(t, clients, database)
  const urls = clients.map(({ base }) => base)
  const { exit, out, notes, progress } = command(database, [`${urls[0]}/`, ...urls], [['minutes', '0.15']])
  t.equal(await exit, 0)
  t.strictSame(notes, [])
  t.match(progress.at(-1), /0 violations/)
  t.equal(out.length, 1)
  const report = JSON.parse(out[0] ?? '')
  t.match(report, { violations: 0, violation_examples: { length: 0 }, feed_losses: 0 })
  t.strictSame(
    report.sidecars.map(({ url }: { url: string }) => url),
    urls,
    'a sidecar named twice is one',
  )
  const [, bound] = report.within
  t.equal(bound.ms, maxStalenessMs)
  t.ok(bound.held >= 20, `${bound.held} samples of what was in memory`)
  t.equal(bound.consistent, bound.writes)
  t.ok(report.overtaken > 0, 'some keys were written again before the bound')
})

t.test('a sidecar that never drops an entry violates the promise', async (t) => {
  const { database, clients } = await fleet(t)
  const liar = createServer((request, response) => {
    const key = new URL(request.url ?? '', 'http://liar').searchParams.get('key')
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify({ key, value: 'the first', source: 'cache' }))
  })
  await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve))
  t.teardown(() => liar.close())
  const liarUrl = `http://127.0.0.1:${(liar.address() as AddressInfo).port}`
  const honestUrl = clients[0]?.base ?? ''

  const { exit, stop, out, notes, progress } = command(database, [honestUrl, liarUrl])
  await eventually(() => progress.length > 0)
  await clients[0]?.set('changed', 'the first')
  await eventually(async () => {
    await clients[0]?.get('changed')
    return notes.length > 0 || progress.length > 3
  })
  t.strictSame(notes, [], 'not yet wrong')
  await database.query("update cache_entries set value = 'the second' where key = 'changed'")
  await eventually(async () => {
    await clients[0]?.get('changed')
    return notes.some((note) => note.startsWith(`VIOLATION ${liarUrl} `))
  })
  await database.query("delete from cache_entries where key = 'changed'")
  await eventually(() => notes.some((note) => note.includes('before its deletion')))
  stop.abort()
  t.equal(await exit, 1)
  const report = JSON.parse(out[0] ?? '')
  t.equal(report.violations, 2)
  for (const example of report.violation_examples) t.match(example, { sidecar: liarUrl, key: 'changed' })
  const [within100ms, bound] = report.within
  t.equal(within100ms.writes - within100ms.consistent, 2)
  t.equal(bound.writes - bound.consistent, 2)
})

t.test('an audit can be stopped before any event', async (t) => {
  const { database, clients } = await fleet(t)
  const { exit, stop, out, progress } = command(
    database,
    clients.map(({ base }) => base),
  )
  await eventually(() => progress.length > 0)
  stop.abort()
  t.equal(await exit, 0)
  t.match(JSON.parse(out[0] ?? ''), { sampled: 0, within: [{ writes: 0, error_rate_at_most: null }, {}] })
})

t.test('an audit without any response exits with 3', async (t) => {
  const { database } = await fleet(t)
  const { exit, stop, notes, progress } = command(database, ['http://127.0.0.1:1'], [['sample', '1']])
  await eventually(() => progress.length > 0)
  await database.query("insert into cache_entries (key, value) values ('k', '1')")
  await eventually(() => notes.some((note) => note.includes('gives no usable answer')))
  stop.abort()
  t.equal(await exit, 3)
  t.match(notes.at(-1), /^the audit is inconclusive/)
})

t.test('an audit in which one of the sidecars never answers exits with 3, and names it', async (t) => {
  const { database, clients } = await fleet(t)
  const silent = 'http://127.0.0.1:1'
  const urls = clients.map(({ base }) => base)
  const { exit, stop, notes, progress } = command(database, [...urls, silent], [['sample', '1']])
  await eventually(() => progress.length > 0)
  await database.query("insert into cache_entries (key, value) values ('k', '1')")
  await eventually(() => notes.some((note) => note.includes('gives no usable answer')))
  const asked = progress.length
  await eventually(() => progress.length > asked + 2)
  stop.abort()
  t.equal(await exit, 3)
  t.equal(notes.at(-1), `the audit is inconclusive: no answer that counts from ${silent}`)
})

t.test('an audit survives a lost feed', async (t) => {
  const { database, clients } = await fleet(t)
  const notes: string[] = []
  const { config } = loadConfig({ DATABASE_URL: database.url })
  const audit = new Audit(
    { ...config, urls: clients.map(({ base }) => base), sampleRate: 1, maxStalenessMs },
    { onViolation: () => notes.push('violation'), onNote: (line) => notes.push(line) },
  )
  t.teardown(() => audit.close())
  await audit.start()
  await clients[0]?.set('k', 1)
  await eventually(() => audit.underWay === 1)
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = 'caching-layer changes' and datname = current_database()`,
  )
  await eventually(() => notes.includes('the change feed is back'))
  t.match(notes[0], /^the change feed was lost, trying again: ./)
  t.match(audit.report(), { feedLosses: 1, sampled: 1, overtaken: 1 })

  await clients[0]?.set('k', 2)
  await eventually(() => audit.report().within.at(-1)?.writes === 1)
  t.equal(audit.report().violations, 0)
  await audit.close()
  await audit.close()
  t.equal(notes.length, 2)
})
