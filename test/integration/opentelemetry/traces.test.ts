import { Agent, request } from 'node:http'
import t from 'tap'
import { serve, untilLive } from '../../support/child-process.js'
import { collector, type ExportedSpan } from '../../support/collector.js'
import { freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { guestOf } from '../../support/guest.js'
import { JsonClient } from '../../support/json-client.js'

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

/** Returns the spans of an action as soon as the expected one is among them. */
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
    attributes: { 'caching_layer.batch.keys': 1, 'caching_layer.batch.requests': 1 },
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

t.test('the span of a hit has no children; that of a miss has its reason', async (t) => {
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

t.test('a request for several keys: one span each for request, cache, batch and statement', async (t) => {
  const keys = ['secret-key', 'secret-1', 'secret-2', 'secret-3']
  const path = '/v1/entries:get'
  const of = await traced(
    () => client.request('POST', path, { body: { keys, consistency: 'strong' } }),
    `POST ${path}`,
  )
  const request = one(of, `POST ${path}`)
  t.match(request.attributes, { 'http.route': path, 'http.response.status_code': 200 })
  const cache = one(of, 'cache get many')
  t.match(cache, {
    parentSpanId: request.spanId,
    attributes: { 'caching_layer.source': 'db', 'caching_layer.keys': 4, 'caching_layer.keys_found': 1 },
  })
  const batch = one(of, 'batch read')
  t.match(batch, {
    parentSpanId: cache.spanId,
    links: [cache.spanId],
    attributes: { 'caching_layer.batch.keys': 4, 'caching_layer.batch.requests': 1 },
  })
  t.equal(batch.links.length, 1)
  t.equal(one(of, 'SELECT cache_entries').parentSpanId, batch.spanId)
})

t.test('a delete', async (t) => {
  const of = await traced(() => client.delete('secret-key'), 'DELETE /cache/delete')
  t.match(one(of, 'cache delete').attributes, { 'caching_layer.stored': true })
  t.equal(one(of, 'DELETE cache_entries').parentSpanId, one(of, 'batch delete').spanId)
})

t.test('the span of a refused statement shows only its SQLSTATE', async (t) => {
  await database.query(`create function objects() returns trigger language plpgsql as $$
    begin raise exception 'not %', new.value using errcode = '23514', detail = new.value; end $$`)
  await database.query(
    'create trigger objects before insert on cache_entries for each row execute function objects()',
  )
  const of = await traced(() => client.set('secret-key', 'secret-value'), 'POST /cache/set')
  await database.query('drop trigger objects on cache_entries')
  t.match(one(of, 'INSERT cache_entries'), {
    isError: true,
    attributes: { 'db.response.status_code': '23514', 'error.type': '23514' },
  })
  t.match(one(of, 'cache set'), { isError: true, attributes: { 'error.type': 'refused' } })
  t.match(one(of, 'POST /cache/set'), { isError: false, attributes: { 'http.response.status_code': 422 } })
})

t.test('the span of a client that disconnects early is closed', async (t) => {
  const of = await traced(async () => {
    const sent = request(`${client.base}/cache/set`, {
      method: 'POST',
      agent: false,
      headers: { 'Content-Type': 'application/json', 'Content-Length': 100 },
    })
    sent.on('error', () => undefined)
    await new Promise((resolve) => sent.write('{', resolve))
    // The request has been seen when a later one has been answered.
    await client.request('GET', '/health')
    sent.destroy()
  }, 'POST /cache/set')
  const { isError, attributes } = one(of, 'POST /cache/set')
  t.match({ isError, attributes }, { isError: true, attributes: { 'error.type': 'aborted' } })
  t.equal(attributes['http.response.status_code'], undefined)
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

t.test('the trace of the caller is continued', async (t) => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01` }
  const of = await traced(
    () => client.request('GET', '/cache/get?key=not-there', { headers }),
    'GET /cache/get',
  )
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

t.test('an unsampled request leaves no span, whoever shares its connection and batch', async (t) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const onOneConnection = new JsonClient(client.base, agent)
  const hidden = 'ffffffffffffffffffffffffffffffff'
  const ask = (of: JsonClient, key: string, headers = {}) =>
    of.request('GET', `/cache/get?key=${key}`, { headers })
  const unsampled = { traceparent: `00-${hidden}-00f067aa0ba902b7-00` }
  const of = await traced(async () => {
    const asked: Promise<unknown>[] = []
    for (let n = 0; n < 30; n++) {
      asked.push(ask(client, `absent-${n}`), ask(client, `hidden-${n}`, unsampled))
      asked.push(ask(onOneConnection, `absent-too-${n}`), ask(onOneConnection, `hidden-too-${n}`, unsampled))
    }
    await Promise.all(asked)
    await client.request('GET', '/health')
  }, 'GET /health')
  t.equal(of.filter(({ name }) => name === 'GET /cache/get').length, 60)
  t.equal(of.filter(({ name }) => name === 'cache get').length, 60)
  t.notOk(of.some(({ traceId }) => traceId === hidden))
})

t.test('the span of a list is named after its route', async (t) => {
  for (const route of ['/v1/entries', '/v1/entries:count']) {
    const of = await traced(() => client.request('GET', `${route}?prefix=secret-key`), `GET ${route}`)
    t.match(one(of, `GET ${route}`).attributes, { 'http.route': route, 'http.response.status_code': 200 })
  }
})

t.test('the spans of an entry have the template of its path', async (t) => {
  const route = '/v1/entries/{key}'
  const path = '/v1/entries/secret-key/more'
  const sending = { raw: '1', headers: { 'Content-Type': 'application/json', 'If-None-Match': '*' } }
  const put = await traced(() => client.request('PUT', path, sending), `PUT ${route}`)
  t.match(one(put, `PUT ${route}`).attributes, { 'http.route': route, 'url.path': route })
  t.match(one(put, 'cache set').attributes, {
    'caching_layer.written': true,
    'caching_layer.condition_met': true,
  })
  t.equal(one(put, 'UPDATE cache_entries').parentSpanId, one(put, 'batch write').spanId)
  const refused = await traced(() => client.request('PUT', path, sending), `PUT ${route}`)
  t.match(one(refused, 'cache set').attributes, {
    'caching_layer.written': false,
    'caching_layer.condition_met': false,
  })
  const read = await traced(() => client.request('GET', path), `GET ${route}`)
  t.match(one(read, `GET ${route}`).attributes, { 'http.route': route, 'http.response.status_code': 200 })
  const removed = await traced(() => client.request('DELETE', path), `DELETE ${route}`)
  t.ok(one(removed, 'DELETE cache_entries'))
})

t.test('invented paths and methods do not become span names', async (t) => {
  const of = await traced(() => client.request('GET', '/secret-path/secret-key'), 'GET')
  t.strictSame(one(of, 'GET').attributes['http.route'], undefined)
  const odd = await traced(() => client.request('PROPFIND', '/cache/get?key=secret-key'), 'HTTP /cache/get')
  t.match(one(odd, 'HTTP /cache/get').attributes, {
    'http.request.method': '_OTHER',
    'http.request.method_original': 'PROPFIND',
  })
})

t.test('an unavailable database is visible in the spans', async (t) => {
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
        name === 'cache get' && isError && attributes['error.type'] === 'login-refused',
    ),
  )
  await eventually(async () => (await client.set('secret-kept', 'secret-value')).body.db_written === false)
  await guest.letIn()
  // Whichever request is the first to see the database again, it is not what sends the pending write.
  await eventually(async () => {
    await client.get(`absent ${Math.random()}`)
    return (await client.stats()).writes.pending === 0
  })
})

t.test('every statement span has a batch as its parent', async (t) => {
  const batches = new Set(spans.filter(({ name }) => /^batch /.test(name)).map(({ spanId }) => spanId))
  const statements = spans.filter(({ kind }) => kind === 3)
  t.ok(statements.length > 0)
  t.same(
    statements.filter(({ parentSpanId }) => !batches.has(String(parentSpanId))),
    [],
  )
})

t.test('neither probes nor the feed are traced', async (t) => {
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
