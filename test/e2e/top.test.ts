import t, { type Test } from 'tap'
import { top } from '../../src/cli/commands/top.js'
import { CliProcess, serve } from '../support/child-process.js'
import { cacheDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { recordingFront } from '../support/recording-front.js'

const { url, query } = await cacheDatabase(t)
const environment = { DATABASE_URL: url, CACHE_FLEET_INTERVAL_MS: '200', CACHE_API_TOKEN: 'secret' }
const [one, two] = await Promise.all([serve(t, environment), serve(t, environment)])
await Promise.all(
  [one, two].map((sidecar) =>
    eventually(async () => (await sidecar.ops.request('GET', '/readyz')).status === 200),
  ),
)
const addressOf = ({ ops }: typeof one) => new URL(ops.base)

async function run(args: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const process = new CliProcess(t, ['top', ...args], more)
  const { code } = await process.exited
  return { code, out: process.stdout, said: process.stderr }
}

const token = { CACHE_API_TOKEN: 'secret' }

t.test('it prints the sidecars of the database once', async (t) => {
  const { port } = addressOf(one)
  const lines = await eventually(async () => {
    const { out } = await run(['--once', `--url=${one.ops.base}`], token)
    const lines = out.trimEnd().split('\n')
    return lines.length === 3 ? lines : undefined
  })
  t.match(lines?.[0], /^sidecar +state +lag +hits +reads\/s +entries +version +seen$/)
  t.match(
    lines?.find((line) => line.includes(`:${port}*`)),
    / ready +\d+ ms +- +0\.0 +0 +\d+\.\d+\.\d+ +\d+ s ago$/,
  )
  const json = await run(['--json'], { ...token, OPS_PORT: port })
  t.equal(json.code, 0)
  t.match(JSON.parse(json.out), { members: [{ status: 'ready' }, { status: 'ready' }] })
})

t.test('a row that another program wrote does not break the table', async (t) => {
  await query(`insert into cache_sidecars (sidecar, version, host, address, page_port, started_at, status, lag_ms,
      hit_ratio, reads_per_second, entries, seen_at, due_at, may_be_idle, expires_at)
    values ('forged', E'9\\t9', E'forged\\u202e\\nx', null, null, now(), 'resting', null, null, 'NaN', 3, now(),
      now() + '1h', false, now() + '1h')`)
  t.teardown(() => query("delete from cache_sidecars where sidecar = 'forged'"))
  const lines = await eventually(async () => {
    const { out } = await run(['--once', `--url=${one.ops.base}`], token)
    const lines = out.trimEnd().split('\n')
    return lines.length === 4 ? lines : undefined
  })
  t.match(
    lines?.find((line) => line.startsWith('forged')),
    /^forged\\u202e\\u000ax +resting +- +- +- +3 +9\\u00099 +\d+ s ago$/,
  )
})

t.test('it says why it cannot', async (t) => {
  t.match(await run([`--url=${one.ops.base}`]), { code: 1, out: '', said: /expected Bearer and the token/ })
  t.match(await run([`--url=${one.client.base}`], token), { code: 2, said: /is the data listener/ })
  t.match(await run(['--seconds=0']), { code: 2, said: /--seconds must be a number from 0.5 to 3600/ })
  const off = await serve(t, { ...environment, CACHE_UI: 'off' })
  t.match(await run([`--url=${off.ops.base}`], token), { code: 1, said: /CACHE_UI=off/ })
})

t.test('in a terminal, it shows what is new until it is stopped', async (t) => {
  const screens: string[] = []
  const stop = new AbortController()
  const ending = showIn(t, screens, stop.signal, '0.5', [one.ops.base, two.ops.base])
  await eventually(() => screens.at(-1)?.includes(` ready `))
  one.kill('SIGTERM')
  await one.exited
  await eventually(() => screens.at(-1)?.split('\n').length === 2, {})
  t.ok(screens.at(-1)?.startsWith('\x1b[H'), 'in place of the last one')
  two.kill('SIGTERM')
  await two.exited
  await eventually(() => screens.at(-1)?.includes('not refreshed: '))
  stop.abort()
  t.equal(await ending, 0)
})

t.test('between two refreshes, it asks nothing', async (t) => {
  const front = await recordingFront(t, (await serve(t, environment)).ops.base)
  const screens: string[] = []
  const stop = new AbortController()
  const ending = showIn(t, screens, stop.signal, '3600', [front.url])
  await eventually(() => screens.length > 0)
  const { length } = front.requests
  // Another process takes longer than a wait that is none.
  await run(['--once', `--url=${front.url}`], token)
  t.equal(front.requests.length, 2 * length)
  stop.abort()
  t.equal(await ending, 0)
})

/** Runs the command as in a terminal. Resolves to its exit code. */
function showIn(t: Test, screens: string[], stop: AbortSignal, seconds: string, urls: readonly string[]) {
  return top.run({
    flags: new Set(),
    values: new Map([['seconds', seconds]]),
    lists: new Map([['url', urls]]),
    positionals: [],
    environment: token,
    stop,
    isTerminal: true,
    out: (screen) => screens.push(screen),
    note: t.fail,
    progress: t.fail,
    onHangup: t.fail,
    stdin: t.fail as never,
    stdout: t.fail as never,
  })
}
