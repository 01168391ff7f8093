import t from 'tap'
import { createClient } from '../../../clients/node/src/index.js'
import { nearIsProven, nearOptions } from '../../support/connected-client.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { Documented, type DocumentedOperation, type OpenApi } from '../../support/openapi/documented.js'
import { type RecordedRequest, recordingFront } from '../../support/recording-front.js'
import { startLiveSidecar } from '../../support/sidecar.js'

/** Headers of any request, which describe its transmission. */
const ofTransmission = new Set([
  'authorization',
  'connection',
  'content-length',
  'content-type',
  'host',
  'transfer-encoding',
])

const { url: databaseUrl } = await cacheDatabase(t)
const { client: direct } = await startLiveSidecar(t, { databaseUrl })
const documented = new Documented((await direct.request('GET', '/openapi.json')).body as unknown as OpenApi)

function operationOf({ method, url }: RecordedRequest): DocumentedOperation | undefined {
  const path = url.replace(/\?.*/, '')
  const isOf = (template: string) =>
    new RegExp(`^${template.replaceAll('.', '\\.').replace('{key}', '[^/]+')}$`).test(path)
  return documented.operations.find((operation) => operation.method === method && isOf(operation.path))
}

/** Returns everything in a request that the document does not declare. */
function faults(request: RecordedRequest): string[] {
  const { method, url, headers, body } = request
  const operation = operationOf(request)
  if (operation === undefined) return [`${method} ${url}`]
  const parameters = [
    ...[...new URLSearchParams(url.split('?')[1])].map(([name, value]) => ['query', name, value] as const),
    ...Object.entries(headers)
      .filter(([name]) => !ofTransmission.has(name))
      .map(([name, value]) => ['header', name, String(value)] as const),
  ]
  const found = parameters.flatMap(([place, name, value]) => {
    const declared = operation.parameters.find(
      (one) => one.in === place && one.name.toLowerCase() === name.toLowerCase(),
    )
    if (declared === undefined) return [`undeclared ${place} ${name}`]
    return documented.schemaFaults(declared.schema, value).map((fault) => `${place} ${name}: ${fault}`)
  })
  if (body !== '') {
    const type = String(headers['content-type'])
    const { schema } = operation.body?.[type] ?? operation.body?.['*/*'] ?? {}
    if (operation.body === undefined) found.push('undeclared body')
    else if (type === 'application/json' && schema)
      found.push(...documented.schemaFaults(schema, JSON.parse(body)).map((fault) => `body: ${fault}`))
  }
  return found.map((fault) => `${operation.id}: ${fault}`)
}

t.test('every request of the client is one that the OpenAPI document declares', async (t) => {
  const front = await recordingFront(t, direct.base)
  const app = createClient({ url: front.url, near: nearOptions })
  t.teardown(() => app.close())
  await nearIsProven(app)
  await app.set('user:42', { name: 'Ada' }, { ttlSeconds: 60, groups: ['team "1"'] })
  const entry = await app.getEntry('user:42')
  await app.set('user:42', { name: 'Eve' }, { ifMatch: entry?.etag })
  await app.set('bytes', new Uint8Array([1]), { ifNoneMatch: '*' })
  await app.set('text', 'a', { contentType: 'text/plain' })
  await app.get('a key/with %', { consistency: 'strong' })
  await app.getMany(['user:42', 'nothing'])
  await app.getMany(['text'], { consistency: 'strong' })
  await app.getOrCompute('page', () => 'computed', { ttlSeconds: 60, groups: ['g'] })
  await app.delete('user:42', { ifMatch: '*' })
  await app.invalidate({ keys: ['text'], groups: ['g'], prefix: 'user:' })
  const changes = app.watch({ prefix: 'user:' })
  await changes.next()
  await app.set('user:1', 1)
  await changes.next()
  front.cut()
  await eventually(() => front.requests.some(({ headers }) => headers['last-event-id'] !== undefined))

  t.strictSame(front.requests.flatMap(faults), [])
  const operations = new Set(front.requests.map((request) => operationOf(request)?.id))
  t.strictSame([...operations].sort(), [
    'deleteEntry',
    'followChanges',
    'getEntries',
    'getEntry',
    'invalidateEntries',
    'proveChanges',
    'putEntry',
  ])
  const headers = new Set(front.requests.flatMap((request) => Object.keys(request.headers)))
  for (const name of ['cache-control', 'cache-groups', 'cache-token', 'change-feed', 'fill-lease', 'prefer'])
    t.ok(headers.has(name), name)
})

t.test('a request that the document does not declare is found', async (t) => {
  const request = { method: 'GET', url: '/v1/entries/k', headers: { host: 'here' }, body: '' }
  t.strictSame(faults(request), [])
  for (const change of [
    { url: '/v1/other' },
    { method: 'PATCH' },
    { url: '/v1/entries/k?consistency=weak' },
    { url: '/v1/entries/k?other=1' },
    { headers: { 'x-other': '1' } },
    { body: '{}' },
    {
      method: 'POST',
      url: '/v1/invalidate',
      body: '{"keys":7}',
      headers: { 'content-type': 'application/json' },
    },
  ])
    t.equal(faults({ ...request, ...change }).length > 0, true, JSON.stringify(change))
})
