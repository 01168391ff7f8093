import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { digestOf } from '../../../src/tools/audit/answer.js'
import { SidecarClient } from '../../../src/tools/audit/sidecar-client.js'
import { eventually } from '../../support/eventually.js'

async function clientOf(
  t: Test,
  respond: (response: ServerResponse, url: string, cacheControl: string | undefined) => void,
  timeoutMs = 60_000,
) {
  const server = createServer((request, response) =>
    respond(response, request.url ?? '', request.headers['cache-control']),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const silent: string[] = []
  const client = new SidecarClient({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    timeoutMs,
    onSilent: (reason) => silent.push(reason),
  })
  t.teardown(() => {
    client.close()
    server.closeAllConnections()
    server.close()
  })
  return { client, server, silent, ask: async (key: string) => (await client.ask(key)).answer }
}

t.test('only what is in memory is requested, whatever the key', async (t) => {
  const seen: string[] = []
  const { ask } = await clientOf(t, (response, url, cacheControl) => {
    const key = new URL(url, 'http://a').searchParams.get('key') ?? ''
    seen.push(`${cacheControl} ${key}`)
    response.end(JSON.stringify({ key, value: { a: 1 }, source: 'cache' }))
  })
  for (const key of ['a', 'a&b=c+d %', 'ключ'])
    t.strictSame(await ask(key), { kind: 'value', digest: digestOf('{"a":1}') })
  t.strictSame(seen, ['only-if-cached a', 'only-if-cached a&b=c+d %', 'only-if-cached ключ'])
})

t.test('each response is understood', async (t) => {
  const value = { key: 'k', value: 'v', source: 'cache' }
  const cases: [string, number, object | string, string, object][] = [
    ['a value', 200, value, 'caching-layer; hit; ttl=9', { kind: 'value', digest: digestOf('"v"') }],
    ['marked stale', 200, { ...value, stale: true }, 'caching-layer; hit', { kind: 'stale' }],
    ['marked in the header', 200, value, 'caching-layer; hit; detail=kept', { kind: 'stale' }],
    ['nothing', 504, {}, '', { kind: 'nothing' }],
    ['absent', 404, {}, 'caching-layer; hit', { kind: 'absent' }],
    ['a kept delete', 404, {}, 'caching-layer; hit; detail=kept', { kind: 'stale' }],
    ["anybody's 404", 404, '<h1>Not Found</h1>', '', { kind: 'none', reason: 'status 404' }],
    ['an error', 503, {}, '', { kind: 'none', reason: 'status 503' }],
    ["another key's", 200, { ...value, key: 'l' }, '', { kind: 'none', reason: "not a sidecar's answer" }],
    ['null', 200, 'null', '', { kind: 'none', reason: "not a sidecar's answer" }],
  ]
  for (const [name, status, body, cacheStatus, expected] of cases) {
    const { ask } = await clientOf(t, (response) => {
      response.writeHead(status, cacheStatus === '' ? {} : { 'Cache-Status': cacheStatus })
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    })
    t.strictSame(await ask('k'), expected, name)
  }
})

t.test('a sidecar that does not respond is named once', async (t) => {
  let mute = true
  const { ask, silent, server } = await clientOf(
    t,
    (response) => {
      if (!mute) response.writeHead(504).end()
    },
    100,
  )
  t.strictSame(await ask('k'), { kind: 'none', reason: 'no answer in time' })
  t.equal((await ask('k')).kind, 'none')
  t.equal(silent.length, 1)
  mute = false
  await eventually(async () => (await ask('k')).kind === 'nothing')
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
  const answer = await ask('k')
  t.match(answer, { kind: 'none', reason: /ECONNREFUSED/ })
  t.equal(silent.length, 2)
})

t.test('the token is sent if there is one', async (t) => {
  const seen: (string | undefined)[] = []
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(504).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  for (const apiToken of ['secret', undefined]) {
    const client = new SidecarClient({ url, timeoutMs: 60_000, apiToken, onSilent: () => t.fail() })
    t.match(await client.ask('k'), { sidecar: url, answer: { kind: 'nothing' } })
    client.close()
  }
  t.strictSame(seen, ['Bearer secret', undefined])
})
