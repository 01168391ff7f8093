import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { LoadReport } from '../../src/tools/load/report.js'
import { CliProcess } from '../support/child-process.js'
import { cacheDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { answer, scriptedServer } from '../support/scripted-server.js'
import { startLiveSidecar, startSidecar } from '../support/sidecar.js'

// A socket's path has to be short.
const folder = await mkdtemp(join(tmpdir(), 'caching-layer-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const database = await cacheDatabase(t)
const { client } = await startLiveSidecar(t, { databaseUrl: database.url, capacity: 50 })
const url = `--url=${client.base}`

function start(t: Test, args: readonly string[], environment: Record<string, string> = {}) {
  return new CliProcess(t, ['bench', ...args], environment)
}

async function run(t: Test, args: readonly string[], environment: Record<string, string> = {}) {
  const process = start(t, args, environment)
  const { code } = await process.exited
  return { code, out: process.stdout, said: process.stderr }
}

async function rows(): Promise<{ readonly key: string; readonly value: string }[]> {
  return (await database.query<{ key: string; value: string }>('select key, value from cache_entries')).rows
}

await database.query("insert into cache_entries (key, value) values ('theirs', 'theirs')")

t.test('bench writes its entries, measures, and removes them', async (t) => {
  const args = [url, '--mix=get=80,set=20', '--keys=zipf:300', '--rate=500', '--duration=1', '--json']
  const { code, out, said } = await run(t, args)
  t.equal(code, 0, said)
  const report = JSON.parse(out) as LoadReport
  const asked = { mix: 'get=80,set=20', keys: 'zipf:300', rate: 500, connections: 32, valueBytes: 100 }
  t.match(report, { ...asked, url: client.base, due: 500, sent: 500, answered: 500, failed: 0 })
  const { get, set } = report.statuses
  t.equal((get?.[200] ?? 0) + (set?.[200] ?? 0), 500, 'no key is missing')
  t.ok((get?.[200] ?? 0) > (set?.[200] ?? 0))
  t.ok((report.hitRatio ?? 0) > 0 && (report.hitRatio ?? 1) < 1, `hits ${report.hitRatio}`)
  t.match(report.latencies, { get: { count: get?.[200] }, set: { count: set?.[200] } })
  t.match(said, /^this load generator can send up to \d+ requests\/s\nwriting its 300 entries/)
  t.match(said, /^µs +p50 +p90 +p99 +p99\.9 +max +answers\nget +\d+/m)
  t.same(await rows(), [{ key: 'theirs', value: 'theirs' }])
})

t.test('kept entries are used by the next run, which is compared', async (t) => {
  const args = [url, '--keys=uniform:40', '--rate=100', '--duration=1', '--value-bytes=20']
  const first = await run(t, [...args, '--keep', '--json'])
  t.equal(first.code, 0, first.said)
  const kept = (await rows()).filter(({ key }) => key.startsWith('caching-layer-bench:'))
  t.equal(kept.length, 40)
  t.ok(kept.every(({ value }) => value.length === 20))
  t.equal(new Set(kept.map(({ value }) => value)).size, 40, 'every write is a change')
  const earlier = join(folder, 'earlier.json')
  await writeFile(earlier, first.out)

  const again = [...args, '--no-fill', '--keep', `--compare=${earlier}`]
  const [second, other] = await Promise.all([run(t, again), run(t, [...again, '--rate=200', '--mix=get=1'])])
  t.equal(second.code, 0, second.said)
  t.match(second.out, /^\d+ requests\/s of 100 asked for \(×\d\.\d\d\), 100 in/)
  t.match(second.out, /^get +\d+ \(×\d+\.\d\d\)/m)
  t.notMatch(second.said, /writing|comparable/)
  t.match(other.said, /^these runs are not comparable: mix was get=90,set=10 and is get=1$/m)
  t.match(other.said, /^these runs are not comparable: rate was 100 and is 200$/m)

  const bySql = /to remove them: (delete .*)$/m.exec(second.said)?.[1] ?? ''
  t.equal((await database.query(bySql)).rowCount, 40)
  t.equal((await rows()).length, 1)
  t.match(JSON.parse((await run(t, [...args, '--no-fill', '--mix=get=1', '--json'])).out), {
    statuses: { get: { 404: 100 } },
    failed: 0,
  })
})

t.test('Ctrl-C ends bench early and prints the measurements', async (t) => {
  const { hits, misses } = await client.stats()
  const args = [url, '--mix=get=1', '--keys=uniform:30', '--rate=100', '--duration=600', '--json']
  const process = start(t, args)
  await eventually(async () => {
    const now = await client.stats()
    return now.hits + now.misses > hits + misses + 20
  })
  process.kill('SIGINT')
  t.strictSame(await process.exited, { code: 0, signal: null })
  const { answered, sent, due, seconds } = JSON.parse(process.stdout) as LoadReport
  t.ok(answered > 20 && answered === sent && due < 60_000 && seconds < 600, `${answered} of ${due}`)
  t.equal((await rows()).length, 1, 'and its entries are removed')
})

t.test('Ctrl-C while bench writes its entries removes them', async (t) => {
  const process = start(t, [url, '--keys=uniform:10000000'])
  await eventually(async () => (await rows()).length > 100)
  process.kill('SIGINT')
  t.strictSame(await process.exited, { code: 1, signal: null })
  t.match(process.stderr, 'caching-layer: stopped before anything was measured\n')
  t.equal(process.stdout, '')
  t.equal((await rows()).length, 1)
})

t.test('a sidecar that ends during a run is reported in one line, with the measurements', async (t) => {
  const { sidecar, client } = await startLiveSidecar(t, { databaseUrl: database.url })
  const process = start(t, [
    `--url=${client.base}`,
    '--mix=get=1',
    '--keys=uniform:9',
    '--duration=600',
    '--json',
  ])
  await eventually(async () => (await client.stats()).hits > 20)
  await sidecar.close()
  t.strictSame(await process.exited, { code: 1, signal: null })
  const { answered, lost } = JSON.parse(process.stdout) as LoadReport
  t.ok(answered > 20)
  t.match(lost, /closed a connection|ECONNRESET/)
  t.match(process.stderr, /^they could not be removed: .*ECONNREFUSED/m)
  t.match(process.stderr, new RegExp(`^caching-layer: ${client.base}: ${lost}$`, 'm'))
  t.notMatch(process.stderr, / at .*\.js:/)
  await database.query("delete from cache_entries where key <> 'theirs'")
})

t.test('failures are shown separately, and a run with only failures fails', async (t) => {
  const away = 'postgresql://nobody@127.0.0.1:1/nothing'
  const { client } = await startSidecar(t, { databaseUrl: away, databaseListenUrl: away })
  const args = [`--url=${client.base}`, '--mix=get=1', '--keys=uniform:9', '--rate=50', '--duration=1']
  const { code, out } = await run(t, [...args, '--no-fill'])
  t.equal(code, 1)
  t.match(out, /^failed +\d+ .* 50$/m)
  t.match(out, /^50 answers were failures: 50 × get 503$/m)
  t.notMatch(out, /^get/m)
})

t.test('a sidecar with a token on a Unix socket can be used', async (t) => {
  const socket = join(folder, 'load.sock')
  const apiToken = 'let-me-in-please'
  const { ops } = await startSidecar(t, { databaseUrl: database.url, socket, apiToken })
  await eventually(async () => (await ops.request('GET', '/readyz')).status === 200)
  const args = ['--keys=uniform:9', '--rate=50', '--duration=1', '--json']
  const good = await run(t, args, { CACHE_SOCKET: socket, CACHE_API_TOKEN: apiToken })
  t.equal(good.code, 0, good.said)
  t.match(JSON.parse(good.out), { url: socket, answered: 50, failed: 0 })
  const refused = await run(t, args, { CACHE_SOCKET: socket })
  t.match(refused, { code: 1, out: '', said: /^caching-layer: .*token.*\n$/ })
})

t.test('an error is reported in one line, with its exit code', async (t) => {
  const noReport = join(folder, 'no-report.json')
  await writeFile(noReport, '{"rate":1000}')
  const { port } = await scriptedServer(t, (socket) => socket.write(answer(200)))
  const wrong: readonly (readonly [code: number, arg: string, line: RegExp])[] = [
    [2, '--mix=get', /--mix must be like get=90,set=10/],
    [2, '--keys=zipf', /--keys must be uniform:COUNT or zipf:COUNT/],
    [2, '--rate=0', /--rate must be a whole number from 1/],
    [2, '--duration=1.5', /--duration must be/],
    [2, '--connections=many', /--connections must be/],
    [2, '--value-bytes=', /--value-bytes must not be empty/],
    [2, '--url=https://127.0.0.1', /is not a URL like http:/],
    [2, '--rates=1', /--rates/],
    [1, `--compare=${noReport}`, /no-report\.json: this is not a report of bench --json/],
    [1, `--compare=${join(folder, 'none')}`, /ENOENT/],
    [1, '--url=http://127.0.0.1:1', /127\.0\.0\.1:1: .*ECONNREFUSED/],
    [1, `--url=http://127.0.0.1:${port}`, /not a sidecar/],
  ]
  const started = wrong.map(([code, arg, line]) => ({ process: start(t, [arg]), code, arg, line }))
  for (const { process, code, arg, line } of started) {
    t.strictSame(await process.exited, { code, signal: null }, arg)
    t.match(process.stderr, /^caching-layer: .+\n$/)
    t.match(process.stderr, line)
    t.equal(process.stdout, '')
  }
})
