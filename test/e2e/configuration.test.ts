import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { CliProcess, type Served, serve, untilLive } from '../support/child-process.js'
import { configMap } from '../support/config-map.js'
import { cacheDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'

const program = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

async function run(args: readonly string[], environment: Record<string, string> = {}) {
  const command = new CliProcess(t, args, environment)
  const { code } = await command.exited
  return { code, out: command.stdout, err: command.stderr }
}

t.test('config prints every setting with the source of its value', async (t) => {
  const path = join(t.testdir({ 'settings.yaml': 'CACHE_CAPACITY: 7\nCACHE_CAPACTIY: 8\n' }), 'settings.yaml')
  const environment = { CACHE_CONFIG_FILE: path, DATABASE_URL: 'postgres://u:hunter2@h/d?sslmode=disable' }
  const args = ['config', '--cache-ttl-seconds=5']
  const text = await run(args, environment)
  t.match(text, { code: 0, err: /^CACHE_CAPACTIY .*did you mean CACHE_CAPACITY\?\n$/ })
  t.match(text.out, /^setting +value +default +unit +source\n/)
  t.match(text.out, /^CACHE_CAPACITY +7 +1000 +entries +file$/m)
  t.match(text.out, /^CACHE_TTL_SECONDS +5 +60 +s +flag$/m)
  t.match(text.out, /^DATABASE_URL +postgres:\/\/u@h\/d +\S+ +environment$/m)
  t.match(text.out, /^PORT +8025 +8025 +default$/m)

  const json = await run([...args, '--json'], environment)
  const shown = JSON.parse(json.out) as Record<string, Record<string, unknown>>
  t.match(shown.CACHE_CAPACITY, {
    flag: '--cache-capacity',
    value: 7,
    default: 1_000,
    unit: 'entries',
    source: 'file',
    reloads: true,
  })
  t.notMatch(text.out + json.out, 'hunter2')
  const parts = Object.entries(shown.CACHE_MEMORY_BYTES?.parts as Record<string, number>)
  t.equal(parts.length, 6)
  for (const [part, bytes] of parts) t.match(text.out, new RegExp(`^  ${part} +${bytes} +bytes$`, 'm'))
  t.equal(Object.keys(shown).length + parts.length, text.out.trim().split('\n').length - 1)
})

t.test('config --check validates without printing the settings', async (t) => {
  t.match(await run(['config', '--check']), { code: 0, out: '', err: 'the settings are valid\n' })
  const wrong = await run(['config', '--check', '--port=x'], {
    LOG_LEVEL: 'loud',
    CACHE_CONFIG_FILE: '/nowhere',
  })
  t.match(wrong, { code: 2, out: '' })
  t.match(wrong.err.trimEnd().split('\n').sort(), [
    /^caching-layer: --port: must be/,
    /^caching-layer: CACHE_CONFIG_FILE \/nowhere: cannot be read/,
    /^caching-layer: LOG_LEVEL: must be/,
  ])
  t.match(await run(['config', '--check', '--json']), { code: 2, err: /exclude/ })
  t.match(await run(['config', '--cache-capacitee=1']), { code: 2, err: /did you mean --cache-capacity\?/ })
})

t.test('a closed output pipe is no error', async (t) => {
  const child = spawn(process.execPath, [program, 'config', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.destroy()
  let err = ''
  child.stderr.setEncoding('utf8').on('data', (more: string) => {
    err += more
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  t.strictSame([code, err], [0, ''])
})

t.test('every command that has settings takes them from the file and from flags', async (t) => {
  const closed = 'postgresql://nobody@127.0.0.1:1/nothing'
  const path = join(
    t.testdir({ 'a.json': JSON.stringify({ DATABASE_URL: closed, OPS_PORT: 1, PORT: 3 }) }),
    'a.json',
  )
  const [migrated, checked, flagged, loaded, loadedByFlag] = await Promise.all([
    run(['migrate', '--status', '--wait=0'], { CACHE_CONFIG_FILE: path }),
    run(['healthcheck'], { CACHE_CONFIG_FILE: path }),
    run(['healthcheck', '--ops-port=2', `--cache-config-file=${path}`]),
    run(['bench'], { CACHE_CONFIG_FILE: path }),
    run(['bench', '--port=2', `--cache-config-file=${path}`]),
  ])
  t.match(migrated, { code: 1, err: /127\.0\.0\.1:1/ })
  t.match(checked, { code: 1, err: /127\.0\.0\.1:1\n/ })
  t.match(flagged, { code: 1, err: /127\.0\.0\.1:2\n/ })
  t.match(loaded, { code: 1, err: /127\.0\.0\.1:3: / })
  t.match(loadedByFlag, { code: 1, err: /127\.0\.0\.1:2: / })
  for (const command of ['dev', 'audit', 'serve', 'bench', 'stats', 'watch', 'doctor']) {
    const [name, ...more] = command === 'audit' ? ['audit', 'http://127.0.0.1:1'] : [command]
    t.match(await run([name as string, ...more], { CACHE_CONFIG_FILE: '/nowhere' }), {
      code: 2,
      err: /^caching-layer: CACHE_CONFIG_FILE \/nowhere: cannot be read/,
    })
  }
})

/** The messages logged so far, with the names of the settings that they say have changed. */
const reloads = ({ log }: Served) =>
  log.filter(({ msg }) => msg === 'settings reloaded').map(({ changed }) => Object.keys(changed as object))

t.test('a changed ConfigMap is applied while the sidecar is serving', async (t) => {
  const { url } = await cacheDatabase(t)
  const text = (capacity: number, more = '') => `CACHE_CAPACITY: ${capacity}\n${more}`
  const map = await configMap(t.testdir(), 'settings.yaml', text(4))
  const sidecar = await serve(t, { DATABASE_URL: url, CACHE_CONFIG_FILE: map.path })
  const { client } = sidecar
  await untilLive(sidecar)
  const status = async () => (await client.request('GET', '/cache/stats')).body
  for (const key of ['a', 'b', 'c', 'd']) await client.set(key, key)
  await client.held('a')
  t.match(await status(), { capacity: 4, size: 4 })

  await map.swap(text(2, 'CACHE_TTL_SECONDS: 5\nCACHE_TTL_RULES: a=20\n'))
  await eventually(async () => (await status()).capacity === 2)
  t.match(await status(), { size: 2, ttl_seconds: 5, evictions: 2 })
  t.match((await client.request('GET', '/')).body, { cache: { capacity: 2, ttl_seconds: 5 } })
  const { headers, body } = await client.get('a')
  t.match(body, { source: 'cache' }, 'the one used last is still held')
  t.match(headers['cache-status'], /hit; ttl=1\d$/, 'for as long as its rule says from now on')

  await map.swap(text(3, 'CACHE_TTL_SECONDS: soon\n'))
  const told = await eventually(() => sidecar.log.find(({ faults }) => faults))
  t.match(told, {
    level: 50,
    msg: /keeping the current ones/,
    faults: [/^CACHE_TTL_SECONDS in .*: must be a number/],
  })
  t.match(await status(), { capacity: 2, ttl_seconds: 5 })

  await map.swap(text(3, 'LOG_LEVEL: warn\nDATABASE_POOL_SIZE: 1\nCACHE_MAX_BYTES: 100000\n'))
  await eventually(() =>
    sidecar.log.some(({ msg }) =>
      String(msg).startsWith('DATABASE_POOL_SIZE has changed and takes effect only after a restart'),
    ),
  )
  t.match(await status(), { capacity: 3, ttl_seconds: 60 })
  const bytes = (await sidecar.ops.request('GET', '/metrics')).text
  t.match(bytes, /^caching_layer_held_limit_bytes 100000$/m)
  t.match(bytes, /^caching_layer_entries_limit 3$/m)
  sidecar.kill('SIGTERM')
  t.strictSame(await sidecar.exited, { code: 0, signal: null })
  t.notOk(
    sidecar.log.some(({ msg }) => msg === 'stopping'),
    'the log level is in force: that is only for information',
  )
})

t.test('SIGHUP reloads the configuration', async (t) => {
  const { url } = await cacheDatabase(t)
  const path = join(t.testdir({ 'a.json': '{}' }), 'a.json')
  const sidecar = await serve(t, { DATABASE_URL: url, CACHE_CONFIG_FILE: path, CACHE_TTL_SECONDS: '9' })
  sidecar.kill('SIGHUP')
  await eventually(() => reloads(sidecar).length === 1)
  await writeFile(path, '{"CACHE_CAPACITY": 5, "CACHE_TTL_SECONDS": 7}')
  sidecar.kill('SIGHUP')
  await eventually(async () => (await client(sidecar)).capacity === 5)
  t.match(await client(sidecar), { ttl_seconds: 9 }, 'the environment goes before the file')
  t.same(reloads(sidecar)[0], [], 'that nothing has changed is said, too')
  t.match(reloads(sidecar).flat(), ['CACHE_CAPACITY'])

  const without = await serve(t, { DATABASE_URL: url })
  without.kill('SIGHUP')
  await eventually(() => reloads(without).length === 1)
  t.equal(without.hasExited, false)
})

const client = async ({ client }: Served) => (await client.request('GET', '/cache/stats')).body
