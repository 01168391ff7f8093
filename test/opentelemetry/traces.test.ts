import t from 'tap'
import { serve, untilLive } from '../support/child-process.js'
import { collector, type ExportedSpan } from '../support/collector.js'
import { freshDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { guestOf } from '../support/guest.js'
import { silentServer } from '../support/silent-server.js'

const database = await freshDatabase(t)
const guest = await guestOf(t, database)
const { url, spans, received, resource } = await collector(t)
const sidecar = await serve(t, {
  DATABASE_URL: guest.url,
  OTEL_EXPORTER_OTLP_ENDPOINT: url,
  OTEL_BSP_SCHEDULE_DELAY: '20',
})
await untilLive(sidecar)
const { client, ops } = sidecar

/** The spans that come from what is done, as soon as there is the one that is waited for. */
async function traced(
  act: () => Promise<unknown>,
  name: string,
  count = 1,
): Promise<readonly ExportedSpan[]> {
  const marks = () => spans.filter((span) => span.name === 'GET /health').length
  const before = marks()
  // Spans come in the order in which they end.
  await client.request('GET', '/health')
  await eventually(() => marks() > before)
  const from = spans.length
  await act()
  return eventually(() => {
    const since = spans.slice(from)
    if (since.filter((span) => span.name === name).length < count)
      throw new Error(`no ${count} spans ${name} yet`)
    return since
  })
}

function one(among: readonly ExportedSpan[], name: string): ExportedSpan {
  const [found, ...others] = among.filter((span) => span.name === name)
  if (found === undefined || others.length > 0)
    throw new Error(`${others.length + (found ? 1 : 0)} spans ${name}`)
  return found
}

t.test('a set: request, cache, batch and statement, each below the one before', async (t) => {
  const of = await traced(() => client.set('secret-key', 'secret-value'), 'POST /cache/set')
  const request = one(of, 'POST /cache/set')
  t.match(request, {
    kind: 2,
    isError: false,
    attributes: {
      'http.request.method': 'POST',
      'http.route': '/cache/set',
      'url.path': '/cache/set',
      'http.response.status_code': 200,
    },
  })
  t.equal(request.parentSpanId, undefined)
  const cache = one(of, 'cache set')
  t.match(cache, { kind: 1, parentSpanId: request.spanId, attributes: { 'caching_layer.written': true } })
  const batch = one(of, 'batch write')
  t.match(batch, {
    parentSpanId: cache.spanId,
    links: [cache.spanId],
    attributes: { 'caching_layer.batch.requests': 1 },
  })
  const { hostname, port, pathname } = new URL(guest.url)
  t.match(one(of, 'INSERT cache_entries'), {
    kind: 3,
    parentSpanId: batch.spanId,
    attributes: {
      'db.system.name': 'postgresql',
      'db.namespace': pathname.slice(1),
      'db.operation.name': 'INSERT',
      'db.collection.name': 'cache_entries',
      'db.query.summary': 'INSERT cache_entries',
      'server.address': hostname,
      'server.port': Number(port),
    },
  })
  t.same([...new Set(of.map(({ traceId }) => traceId))], [request.traceId])
})

t.test('a hit asks nobody; a miss says why it was one', async (t) => {
  await client.held('secret-key')
  const hit = await traced(() => client.get('secret-key'), 'GET /cache/get')
  t.same(hit.map(({ name }) => name).sort(), ['GET /cache/get', 'cache get'])
  t.match(one(hit, 'cache get').attributes, { 'caching_layer.source': 'cache' })
  const miss = await traced(() => client.get('absent'), 'GET /cache/get')
  t.match(one(miss, 'GET /cache/get').attributes, { 'http.response.status_code': 404 })
  t.equal(one(miss, 'GET /cache/get').isError, false, "the client's")
  t.match(one(miss, 'cache get').attributes, {
    'caching_layer.source': 'db',
    'caching_layer.forwarded': 'miss',
    'caching_layer.found': false,
  })
  t.equal(one(miss, 'SELECT cache_entries').parentSpanId, one(miss, 'batch read').spanId)
})

t.test('a batch links the requests that it served', async (t) => {
  const of = await traced(
    () => Promise.all(Array.from({ length: 40 }, (_, n) => client.get(`together ${n}`))),
    'GET /cache/get',
    40,
  )
  const batches = of.filter(({ name }) => name === 'batch read')
  t.ok(batches.length < 40, `${batches.length} batches`)
  const lookUps = of.filter(({ name }) => name === 'cache get').map(({ spanId }) => spanId)
  t.same(batches.flatMap(({ links }) => links).sort(), [...lookUps].sort(), 'each is served by one')
  for (const { links, parentSpanId } of batches) t.equal(parentSpanId, links[0], 'in the trace of the first')
})

t.test("the caller's trace goes on", async (t) => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01` }
  const of = await traced(() => client.request('GET', '/cache/get?key=absent', { headers }), 'GET /cache/get')
  t.match(one(of, 'GET /cache/get'), { traceId, parentSpanId: '00f067aa0ba902b7' })
  t.equal(one(of, 'SELECT cache_entries').traceId, traceId)
  // Not sampled by the caller: not recorded here, nor in the batch.
  const unsampled = { traceparent: `00-${traceId}-00f067aa0ba902b7-00` }
  const silent = await traced(async () => {
    await client.request('GET', '/cache/get?key=unsampled', { headers: unsampled })
    await client.request('GET', '/health')
  }, 'GET /health')
  t.same(
    silent.map(({ name }) => name),
    ['GET /health'],
  )
})

t.test('paths that somebody makes up name no span', async (t) => {
  const of = await traced(() => client.request('GET', '/secret-path/secret-key'), 'GET')
  t.strictSame(one(of, 'GET').attributes['http.route'], undefined)
})

t.test('a database that is away', async (t) => {
  await guest.shutOut()
  const of = await traced(
    () => eventually(async () => (await client.get('not here')).status === 503),
    'GET /cache/get',
  )
  const failed = of.find(({ attributes }) => attributes['http.response.status_code'] === 503)
  t.match(failed, { isError: true, attributes: { 'error.type': '503' } })
  t.ok(
    of.some(
      ({ name, isError, attributes }) =>
        name === 'cache get' && isError && attributes['error.type'] === 'store-unavailable',
    ),
  )
  await guest.letIn()
})

t.test('probes are not traced, and the feed is not', async (t) => {
  const of = await traced(async () => {
    for (const probe of ['/livez', '/readyz', '/metrics']) await ops.request('GET', probe)
    await client.request('GET', '/health')
  }, 'GET /health')
  t.same(
    of.map(({ name }) => name),
    ['GET /health'],
  )
})

t.test('no key, value, path or password is exported', async (t) => {
  const text = JSON.stringify(received)
  t.match(text, 'INSERT cache_entries')
  for (const secret of ['secret', 'together', new URL(guest.url).password, 'absent'])
    if (secret !== '') t.notMatch(text, secret)
  t.match(resource, { 'service.name': 'caching-layer' })
})

t.test('what is not exported yet goes out when it stops', async (t) => {
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

t.test('a collector that is away, or silent, costs no request and no clean end', async (t) => {
  const silent = new URL((await silentServer(t)).url)
  for (const endpoint of ['http://127.0.0.1:1', `http://127.0.0.1:${silent.port}`]) {
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
})

t.test('without the variable none of its code is loaded', async (t) => {
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
  t.same(await loaded({}), [])
  t.same(await loaded({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_SDK_DISABLED: 'true' }), [])
  t.ok((await loaded({ OTEL_EXPORTER_OTLP_ENDPOINT: url })).length > 0, 'and with it, it is')
})
