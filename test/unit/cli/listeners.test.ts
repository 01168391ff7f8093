import { createServer } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { get } from '../../../src/cli/commands/get.js'
import { ListenerClient, reasonOf, refusal } from '../../../src/cli/listener-client.js'
import {
  dataListener,
  dataListeners,
  operationsListener,
  operationsListenersWithToken,
} from '../../../src/cli/listeners.js'
import { commandRun, type FakeAnswer, fakeListener } from '../../support/command-run.js'
import { answer, scriptedServer } from '../../support/scripted-server.js'
import { silentServer } from '../../support/silent-server.js'

const clientOf = (base: string, more: object = {}) =>
  new ListenerClient({ kind: 'data', base: new URL(base), ...more })

t.test('the address for connections of its own has the default port, and no brackets', async (t) => {
  t.strictSame(clientOf('http://[::1]:8025', { token: 'secret' }).address(), {
    address: { host: '::1', port: 8025 },
    host: '[::1]:8025',
    token: 'secret',
  })
  t.strictSame(clientOf('http://db.example').address().address, { host: 'db.example', port: 80 })
  const onSocket = clientOf('http://127.0.0.1:8025', { socketPath: '/run/cache.sock' })
  t.strictSame(onSocket.address().address, { path: '/run/cache.sock' })
  t.equal(onSocket.name, '/run/cache.sock')
  t.equal(clientOf('http://127.0.0.1:8025/').name, 'http://127.0.0.1:8025')
})

t.test('a request carries the token, and the length of its text in bytes', async (t) => {
  const requests: string[] = []
  const { port } = await scriptedServer(t, (socket, text) => {
    requests.push(text)
    socket.end(answer(200, '{"n":1.0}'))
  })
  const client = clientOf(`http://127.0.0.1:${port}`, { token: 'secret' })
  const asking = { method: 'POST', headers: { 'X-More': '1' }, body: '"é"' }
  t.strictSame(await client.ask('/a?b', asking), { status: 200, body: { n: 1 }, text: '{"n":1.0}' })
  await client.ask('/c')
  const [first = '', second = ''] = requests
  t.match(first, /^POST \/a\?b HTTP\/1\.1\r\n/)
  for (const header of [
    'Authorization: Bearer secret',
    'X-More: 1',
    'Content-Type: application/json',
    'Content-Length: 4',
    'Connection: close',
  ])
    t.ok(first.includes(`\r\n${header}\r\n`), header)
  t.match(second, /^GET \/c HTTP\/1\.1\r\n/)
  t.notMatch(second, /Content-/)
})

t.test('a Unix socket is asked instead of the URL', async (t) => {
  const path = join(t.testdir(), 'socket')
  const server = createServer((_request, response) => response.end('{"is":"socket"}')).listen(path)
  t.teardown(() => server.close())
  t.match(await clientOf('http://127.0.0.1:1', { socketPath: path }).ask('/'), { body: { is: 'socket' } })
})

t.test('the reason why there is no answer is told with the name', async (t) => {
  const { url } = await silentServer(t)
  const silent = clientOf(`http://127.0.0.1:${new URL(url).port}`, { timeoutMs: 50 })
  await t.rejects(silent.ask('/'), {
    message: `${silent.name}: no answer within 50 ms`,
    cause: { message: 'no answer within 50 ms', cause: { name: 'AbortError' } },
  })
  const { url: other } = await fakeListener(t, () => ({ status: 200, text: '<html>' }))
  const error: unknown = await clientOf(other)
    .ask('/')
    .catch((error: unknown) => error)
  t.match(error, { message: `${other}: not a sidecar: the response is not JSON`, cause: Error })
  t.equal(reasonOf(error, clientOf(other)), 'not a sidecar: the response is not JSON')
  t.equal(reasonOf(new Error('else'), clientOf(other)), 'else')
})

t.test('a response that is cut off is no answer', async (t) => {
  const { port } = await scriptedServer(t, (socket) => {
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}')
  })
  await t.rejects(clientOf(`http://127.0.0.1:${port}`).ask('/'), { message: /: aborted$/ })
})

t.test('only what the other listener of a sidecar answers is wrong use', async (t) => {
  let sign: FakeAnswer = { status: 'alive' }
  let status = 404
  let detail = 'Not Found'
  const { url, asked } = await fakeListener(t, ({ path }) =>
    path === '/livez' || path === '/health' ? sign : { status, text: JSON.stringify({ detail }) },
  )
  const ask = (kind: 'data' | 'operations') =>
    new ListenerClient({ kind, base: new URL(url) }).ask('/it').catch((error: Error) => error.message)
  const data = `${url} is the operations listener of a sidecar; name its data listener (PORT, 8025 by default)`
  t.equal(await ask('data'), data)
  status = 401
  t.equal(await ask('data'), data)
  t.match(await ask('operations'), { status: 401 })
  sign = { status: 'ok' }
  t.match(await ask('data'), { status: 401 })
  t.equal(
    await ask('operations'),
    `${url} is the data listener of a sidecar; name its operations listener (OPS_PORT, 9025 by default)`,
  )
  const { length } = asked
  status = 404
  detail = 'Key not found'
  t.match(await ask('operations'), { status: 404, body: { detail } })
  t.equal(asked.length, length + 1, 'a missing entry is no reason to ask again')
})

t.test('a refusal without a reason has its status', async (t) => {
  t.equal(refusal({ status: 503, body: { detail: 'why' }, text: '' }).message, 'why')
  t.equal(refusal({ status: 503, body: { detail: 1 }, text: '' }).message, 'the sidecar answered 503')
})

const given = (
  environment: Record<string, string>,
  values: Record<string, string> = {},
  urls?: string[],
) => ({
  environment,
  values: new Map(Object.entries(values)),
  lists: new Map(urls === undefined ? [] : [['url', urls]]),
})

t.test('the listeners of the settings are found, with the token', async (t) => {
  const environment = {
    HOST: '::',
    PORT: '8100',
    OPS_PORT: '9100',
    OPS_HOST: '::1',
    CACHE_API_TOKEN: 'secret',
  }
  const data = await dataListener(given(environment))
  t.strictSame([data.name, data.address().token], ['http://127.0.0.1:8100', 'secret'])
  const onSocket = await dataListener(given({ CACHE_SOCKET: '/run/cache.sock' }))
  t.equal(onSocket.name, '/run/cache.sock')
  const operations = operationsListener(given(environment))
  t.strictSame([operations.name, operations.address().token], ['http://[::1]:9100', undefined])
  const [withToken] = await operationsListenersWithToken(given(environment))
  t.strictSame([withToken?.name, withToken?.address().token], ['http://[::1]:9100', 'secret'])
})

t.test('a URL takes the place of the settings, and the token stays', async (t) => {
  const environment = { CACHE_SOCKET: '/run/cache.sock', OPS_PORT: '0', CACHE_API_TOKEN: 'secret' }
  const url = 'http://a:1'
  t.equal((await dataListener(given(environment, { url }))).name, url)
  const both = await dataListeners(given(environment, {}, [url, 'http://b:2/']))
  t.strictSame(
    both.map((one) => [one.name, one.address().token]),
    [
      [url, 'secret'],
      ['http://b:2', 'secret'],
    ],
  )
  t.equal(operationsListener(given(environment, { url })).name, url)
  t.equal((await operationsListenersWithToken(given(environment, {}, [url])))[0]?.address().token, 'secret')
})

t.test('a URL that is not that of a listener is refused', async (t) => {
  for (const url of ['a:1', '/run/cache.sock', 'https://a', 'http://a/b', 'http://a/?b', 'http://a/#b']) {
    const says = (port: number) => ({
      name: 'UsageError',
      message: `--url: "${url}" is not a URL like http://127.0.0.1:${port}`,
    })
    await t.rejects(commandRun(get, { positionals: ['k'], values: { url } }), says(8025), url)
    t.throws(() => operationsListener(given({}, { url })), says(9025), url)
  }
  const unknown = { name: 'ConfigError', message: /^OPS_PORT: with 0 the port is not known/ }
  t.throws(() => operationsListener(given({ OPS_PORT: '0' })), unknown)
  await t.rejects(operationsListenersWithToken(given({ OPS_PORT: '0' })), unknown)
})
