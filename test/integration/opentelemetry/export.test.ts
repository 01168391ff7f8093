import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { CliProcess, serve } from '../../support/child-process.js'
import { collector } from '../../support/collector.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { silentServer } from '../../support/silent-server.js'

const database = await cacheDatabase(t)
const { url, spans, received, resource } = await collector(t)

t.test('pending spans are exported at the end', async (t) => {
  const late = await serve(t, {
    DATABASE_URL: database.url,
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    OTEL_SERVICE_NAME: 'of-its-own',
    OTEL_BSP_SCHEDULE_DELAY: '600000',
  })
  await late.client.get('absent')
  const from = spans.length
  late.kill('SIGTERM')
  t.equal((await late.exited).code, 0)
  t.ok(spans.slice(from).some(({ name }) => name === 'GET /cache/get'))
  t.equal(resource['service.name'], 'of-its-own')
})

t.test('an unavailable or silent collector affects neither requests nor a clean exit', async (t) => {
  const silent = new URL((await silentServer(t)).url)
  const endpoints = ['http://127.0.0.1:1', `http://127.0.0.1:${silent.port}`]
  const without = async (endpoint: string) => {
    const alone = await serve(t, {
      DATABASE_URL: database.url,
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_BSP_SCHEDULE_DELAY: '20',
      OTEL_EXPORTER_OTLP_TIMEOUT: '500',
    })
    for (let count = 0; count < 20; count++) t.equal((await alone.client.get('absent')).status, 404)
    await eventually(() => alone.log.some(({ msg }) => msg === 'traces cannot be exported'))
    alone.kill('SIGTERM')
    t.equal((await alone.exited).code, 0)
    t.equal(alone.log.filter(({ msg }) => msg === 'traces cannot be exported').length, 1, 'it is said once')
  }
  await Promise.all(endpoints.map(without))
})

t.test('a silent collector does not use up the shutdown time', async (t) => {
  const held = await serve(t, {
    DATABASE_URL: database.url,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${new URL((await silentServer(t)).url).port}`,
    OTEL_EXPORTER_OTLP_TIMEOUT: '60000',
    CACHE_SHUTDOWN_TIMEOUT_MS: '6000',
  })
  await held.client.get('absent')
  held.kill('SIGTERM')
  t.equal((await held.exited).code, 0)
  t.notOk(held.log.some(({ msg }) => /^not closed within/.test(String(msg))))
})

t.test('refusals by the collector are logged once, without its response and our headers', async (t) => {
  let refusals = 0
  const refusing = createServer((request, response) => {
    refusals++
    response.writeHead(401).end(`who is ${request.headers['api-key']}?`)
  })
  await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve))
  t.teardown(() => refusing.close())
  const { port } = refusing.address() as AddressInfo
  const refused = await serve(t, {
    DATABASE_URL: database.url,
    LOG_LEVEL: 'trace',
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://user:s3cret@127.0.0.1:${port}`,
    OTEL_EXPORTER_OTLP_HEADERS: 'api-key=s3cret',
    OTEL_BSP_SCHEDULE_DELAY: '20',
  })
  await refused.client.get('absent')
  const said = await eventually(() => refused.log.find(({ msg }) => msg === 'traces cannot be exported'))
  t.match(said, { reason: 'Unauthorized' })
  for (const before = refusals; refusals < before + 3; ) {
    const now = refusals
    await refused.client.get('absent')
    await eventually(() => refusals > now)
  }
  refused.kill('SIGTERM')
  await refused.exited
  t.equal(refused.log.filter(({ msg }) => msg === 'traces cannot be exported').length, 1)
  t.notMatch(refused.stderr, 's3cret')
})

t.test('the sampler variables of OpenTelemetry are respected', async (t) => {
  const from = received.length
  const silent = await serve(t, {
    DATABASE_URL: database.url,
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    OTEL_TRACES_SAMPLER: 'always_off',
  })
  await silent.client.get('absent')
  silent.kill('SIGTERM')
  t.equal((await silent.exited).code, 0)
  t.equal(received.length, from)
})

t.test('an invalid address stops the start with one line', async (t) => {
  const start = async (name: string, text: string) => {
    const refused = new CliProcess(t, ['serve'], { [name]: text })
    t.equal((await refused.exited).code, 2)
    t.equal(refused.stderr, `caching-layer: ${name}: must be a URL like http://collector:4318\n`)
  }
  await Promise.all([
    start('OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:s3cret'),
    start('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'http://user:s3cret@collector:99999'),
  ])
})

t.test('without the variable no tracing code is loaded', async (t) => {
  // Its packages are CommonJS: what was loaded of them is in the cache of that.
  const preload = `import { Module } from 'node:module'
    process.on('exit', () => process.stdout.write(Object.keys(Module._cache).join('\\n')))`
  const loaded = async (environment: Record<string, string>) => {
    const watched = await serve(t, {
      DATABASE_URL: database.url,
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(preload)}`,
      ...environment,
    })
    watched.kill('SIGTERM')
    await watched.exited
    t.match(watched.stdout, /node_modules.pg.lib/)
    // prom-client has the interfaces.
    return watched.stdout.split('\n').filter((path) => /@opentelemetry.(?!api.)/.test(path))
  }
  const given = { OTEL_EXPORTER_OTLP_ENDPOINT: url }
  const [never, disabled, none, wanted] = await Promise.all([
    loaded({}),
    loaded({ ...given, OTEL_SDK_DISABLED: 'true' }),
    loaded({ ...given, OTEL_TRACES_EXPORTER: 'none' }),
    loaded(given),
  ])
  t.same([never, disabled, none], [[], [], []])
  t.ok(wanted.length > 0, 'and with it, it is')
})
