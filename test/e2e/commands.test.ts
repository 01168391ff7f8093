import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { CliProcess, serve } from '../support/child-process.js'
import { freshDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { JsonClient } from '../support/json-client.js'

t.test('an invalid configuration gives one line and exit code 2', async (t) => {
  const wrong: Readonly<Record<string, string>> = {
    CACHE_CAPACITY: 'abc',
    CACHE_TTL_SECONDS: '-1',
    CACHE_TTL_RULES: 'user:=30,session',
    CACHE_TTL_JITTER: '1.5',
    CACHE_TTL_MODE: 'slide',
    CACHE_MAX_STALENESS_MS: '0',
    CACHE_ON_FEED_LOSS: 'maybe',
    CACHE_ON_WRITE_OUTAGE: 'drop',
    CACHE_MAX_BYTES: '1.5',
    DATABASE_POOL_SIZE: '0',
    DATABASE_URL: 'mysql://someone:secret@127.0.0.1/db',
    DATABASE_LISTEN_URL: 'secret',
    PORT: '65536',
    OPS_PORT: 'metrics',
    CACHE_SHUTDOWN_ENDPOINT: 'true',
    LOG_LEVEL: 'loud',
  }
  const started = Object.entries(wrong).map(
    ([name, value]) =>
      [name, new CliProcess(t, ['serve'], { PORT: '0', OPS_PORT: '0', [name]: value })] as const,
  )
  for (const [name, process] of started) {
    t.strictSame(await process.exited, { code: 2, signal: null })
    t.match(process.stderr, new RegExp(`^caching-layer: ${name}: .+\\n$`))
    t.notMatch(process.stderr, 'secret')
    t.equal(process.stdout, '')
  }
})

t.test('a URL that cannot be decoded is refused', async (t) => {
  const process = new CliProcess(t, ['serve'], {
    PORT: '0',
    OPS_PORT: '0',
    DATABASE_URL: 'postgresql://someone:secret%ff@127.0.0.1:1/db',
  })
  await Promise.race([process.exited, eventually(() => process.log.some(({ msg }) => msg === 'serving'))])
  t.ok(process.hasExited, 'it does not start')
  t.equal(process.child.exitCode, 2)
  t.match(process.stderr, /^caching-layer: DATABASE_URL: .+\n$/)
  t.notMatch(process.stderr, 'secret')
})

t.test('wrong use of the command line is refused', async (t) => {
  const wrong = [
    [],
    ['frobnicate'],
    ['toString'],
    ['serve', '--frobnicate'],
    ['serve', 'more'],
    ['dev', '--no-migrate'],
  ]
  const started = wrong.map((args) => new CliProcess(t, args, { PORT: '0', OPS_PORT: '0' }))
  for (const process of started) {
    t.strictSame(await process.exited, { code: 2, signal: null })
    t.match(process.stderr, /caching-layer/)
    t.equal(process.stdout, '')
  }
  const help = new CliProcess(t, ['--help'])
  t.strictSame(await help.exited, { code: 0, signal: null })
  t.match(help.stdout, /serve[\s\S]*dev[\s\S]*migrate/)
})

t.test('an unknown setting causes a warning that names the nearest one', async (t) => {
  const { url } = await freshDatabase(t)
  const sidecar = await serve(t, { DATABASE_URL: url, CACHE_CAPACTIY: '5', CACHE_FROBNICATION: '1' })
  const told = sidecar.log.filter(({ level }) => level === 40).map(({ msg }) => String(msg))
  t.ok(told.some((msg) => /CACHE_CAPACTIY .*CACHE_CAPACITY/.test(msg)))
  t.ok(told.some((msg) => msg.includes('CACHE_FROBNICATION')))
  t.equal(sidecar.stdout, '')
})

t.test('a port that is taken gives one line and exit code 1', async (t) => {
  const { url } = await freshDatabase(t)
  const port = await occupy(t, 0)
  const process = new CliProcess(t, ['serve'], {
    DATABASE_URL: url,
    OPS_PORT: '0',
    PORT: String(port),
    LOG_LEVEL: 'error',
  })
  t.strictSame(await process.exited, { code: 1, signal: null })
  t.match(process.stderr, /^caching-layer: .*EADDRINUSE.*\n$/)
})

function occupy(t: Pick<Test, 'teardown'>, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      t.teardown(() => server.close())
      resolve((server.address() as { port: number }).port)
    })
  })
}

/** Returns the first of so many free ports in a row, below the range that outgoing connections use. */
async function freePorts(count: number): Promise<number> {
  for (let first = 21_000 + (process.pid % 8_000); ; first += count) {
    const opened: (() => unknown)[] = []
    const owner = { teardown: (fn: () => unknown) => opened.push(fn) } as unknown as Pick<Test, 'teardown'>
    try {
      for (let port = first; port < first + count; port++) await occupy(owner, port)
      return first
    } catch {
      // One of them is taken.
    } finally {
      for (const close of opened) close()
    }
  }
}

t.test('dev starts a PostgreSQL server and two sidecars, and leaves nothing running', async (t) => {
  const cwd = await realpath(await mkdtemp(join(tmpdir(), 'caching-layer-dev-')))
  t.teardown(() => rm(cwd, { recursive: true, force: true }))

  const postmaster = async () => {
    const names = await readdir(join(cwd, '.data'), { recursive: true })
    const name = names.find((one) => one.endsWith('postmaster.pid'))
    return name && Number((await readFile(join(cwd, '.data', name), 'utf8')).split('\n')[0])
  }
  const session = async (t: Test, firstValue: unknown) => {
    const port = await freePorts(3)
    const dev = new CliProcess(t, ['dev'], { PORT: String(port), OPS_PORT: '0' }, { cwd })
    await eventually(() => dev.hasExited || dev.stdout.includes('Ctrl-C'), { withinMs: 60_000 })
    t.notOk(dev.hasExited, dev.stderr)
    const [a, b, sql] = [0, 1, 2].map((index) => new JsonClient(`http://127.0.0.1:${port + index}`)) as [
      JsonClient,
      JsonClient,
      JsonClient,
    ]
    for (const client of [a, b, sql]) t.match(dev.stdout, client.base, 'the addresses are printed')
    t.equal(await b.value('foo'), firstValue, 'the data of the last time')

    const curls = dev.stdout.split('\n').filter((line) => line.trim().startsWith('curl '))
    t.equal(curls.length, 3)
    const body = /-d '([^']*)'/.exec(curls[0] ?? '')?.[1] ?? ''
    t.match((await a.request('POST', '/cache/set', { raw: body })).body, { ok: true, db_written: true })
    await eventually(async () => (await b.value('foo')) === 'bar')
    const statement = /-d "([^"]*)"/.exec(curls[2] ?? '')?.[1] ?? ''
    const changed = await sql.request('POST', '/', {
      raw: statement,
      headers: { 'Content-Type': 'application/sql' },
    })
    t.strictSame([changed.status, changed.text], [200, 'UPDATE 1\n'])
    for (const client of [a, b]) await eventually(async () => (await client.value('foo')) === 'by SQL')

    const role = await sql.request('POST', '/', {
      raw: 'select rolsuper from pg_roles where rolname = current_user',
      headers: { 'Content-Type': 'application/sql' },
    })
    t.equal(role.text, '[{"rolsuper":false}]\n', 'the owner is no superuser')

    const refused = await sql.request('POST', '/', {
      raw: statement,
      headers: { 'Content-Type': 'text/plain' },
    })
    t.equal(refused.status, 415)
    const broken = await sql.request('POST', '/', {
      raw: 'no SQL',
      headers: { 'Content-Type': 'application/sql' },
    })
    t.equal(broken.status, 422)

    const pid = await postmaster()
    t.type(pid, 'number', 'the server runs')
    dev.kill('SIGINT')
    t.strictSame(await dev.exited, { code: 0, signal: null })
    t.equal(await postmaster(), undefined, 'no lock file is left')
    t.throws(() => process.kill(Number(pid), 0), { code: 'ESRCH' }, 'no server is left')
    for (const client of [a, b, sql]) await t.rejects(client.request('GET', '/'), { code: 'ECONNREFUSED' })
    t.ok(existsSync(join(cwd, '.data')), 'the data stay')
  }
  await t.test('on the first start', (t) => session(t, undefined))
  await t.test('on the second start', (t) => session(t, 'by SQL'))
})
