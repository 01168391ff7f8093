import { readFile } from 'node:fs/promises'
import t from 'tap'
import { CliProcess, serve } from '../support/child-process.js'
import { cacheDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { occupy } from '../support/free-ports.js'

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
  await eventually(() => process.hasExited || process.log.some(({ msg }) => msg === 'serving'))
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
  for (const [given, meant] of [
    ['sevre', 'serve'],
    ['--verison', '--version'],
    ['version', '--version'],
    ['--hlep', '--help'],
  ] as const) {
    const near = new CliProcess(t, [given])
    t.strictSame(await near.exited, { code: 2, signal: null }, given)
    t.equal(near.stderr, `caching-layer: there is no command "${given}"; did you mean ${meant}?\n`)
  }
  const strange = new CliProcess(t, ['abracadabra'])
  t.strictSame(await strange.exited, { code: 2, signal: null })
  t.equal(
    strange.stderr,
    'caching-layer: there is no command "abracadabra"; see caching-layer --help\n',
    'nothing is near',
  )
})

t.test('the version and the help are printed without a configuration', async (t) => {
  const { version } = JSON.parse(await readFile('package.json', 'utf8'))
  const output = async (...args: readonly string[]) => {
    // An invalid setting shows that none is read.
    const process = new CliProcess(t, args, { PORT: 'x' })
    t.strictSame(await process.exited, { code: 0, signal: null }, args.join(' '))
    t.equal(process.stderr, '')
    return process.stdout
  }
  t.equal(await output('--version'), `${version}\n`)
  t.match(await output('--help'), /serve[\s\S]*dev[\s\S]*migrate/)
  t.match(await output('get', '--help'), /^usage: caching-layer get .*KEY...\n[\s\S]*--strong/)
  t.equal(await output('help', 'get'), await output('get', 'some', '--strong', '-h'))
})

t.test('an unknown setting causes a warning that names the nearest one', async (t) => {
  const { url } = await cacheDatabase(t)
  const sidecar = await serve(t, { DATABASE_URL: url, CACHE_CAPACTIY: '5', CACHE_FROBNICATION: '1' })
  const told = sidecar.log.filter(({ level }) => level === 40).map(({ msg }) => String(msg))
  t.ok(told.some((msg) => /CACHE_CAPACTIY .*CACHE_CAPACITY/.test(msg)))
  t.ok(told.some((msg) => msg.includes('CACHE_FROBNICATION')))
  t.equal(sidecar.stdout, '')
})

t.test(
  'a port or address that cannot be used gives one line with the setting, and exit code 1',
  async (t) => {
    const { url } = await cacheDatabase(t)
    const port = await occupy(t, 0)
    const process = new CliProcess(t, ['serve'], {
      DATABASE_URL: url,
      OPS_PORT: '0',
      PORT: String(port),
      LOG_LEVEL: 'error',
    })
    t.strictSame(await process.exited, { code: 1, signal: null })
    const taken = `another process listens on 127.0.0.1:${port}; choose another port (EADDRINUSE)\n`
    t.equal(process.stderr, `caching-layer: PORT: ${taken}`)
    const base = { DATABASE_URL: url, PORT: '0', OPS_PORT: '0', LOG_LEVEL: 'error' }
    for (const [environment, message] of [
      [{ OPS_PORT: String(port), OPS_HOST: '127.0.0.1' }, `OPS_PORT: ${taken}`],
      [{ HOST: '192.0.2.1' }, 'HOST: 192.0.2.1 is not an address of this machine (EADDRNOTAVAIL)\n'],
    ] as const) {
      const other = new CliProcess(t, ['serve'], { ...base, CACHE_ALLOWED_HOSTS: '*', ...environment })
      t.strictSame(await other.exited, { code: 1, signal: null })
      t.equal(
        other.stderr.split('\n').find((line) => line.startsWith('caching-layer:')),
        `caching-layer: ${message}`.trim(),
      )
    }
  },
)
