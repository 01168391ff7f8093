import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../../../src/config/load.js'
import { EventStream } from '../../support/event-stream.js'
import { eventually } from '../../support/eventually.js'
import { type StartOptions, startSidecar } from '../../support/sidecar.js'

/** Starts a sidecar whose database is unavailable. */
const start = (t: Test, options: Partial<StartOptions> = {}) =>
  startSidecar(t, { databaseUrl: 'postgresql://nobody@127.0.0.1:1/nothing', ...options })

async function takenPort(t: Test): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

t.test('an address that is taken is explained by its setting', async (t) => {
  const port = await takenPort(t)
  const reason = `another process listens on 127.0.0.1:${port}; choose another port (EADDRINUSE)`
  await t.rejects(start(t, { host: '127.0.0.1', port }), { message: `PORT: ${reason}` })
  await t.rejects(start(t, { opsPort: port }), { message: `OPS_PORT: ${reason}` })
  const socket = join(t.testdir({ file: '' }), 'file')
  await t.rejects(start(t, { socket }), { message: `CACHE_SOCKET: ${socket} exists and is not a socket` })
})

t.test('requests may name the host of the setting, also on a socket', async (t) => {
  const socket = join(t.testdir(), 's')
  await start(t, { socket, host: 'cache.internal', allowedHosts: ['other.internal'] })
  const statusFor = async (host: string) => {
    const request = get({ socketPath: socket, path: '/', headers: { Host: host }, agent: false })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    response.resume()
    return response.statusCode
  }
  for (const host of ['cache.internal:8025', 'other.internal', 'localhost', '127.0.0.1'])
    t.equal(await statusFor(host), 200, host)
  t.equal(await statusFor('third.internal'), 421)
})

t.test('the password of the database is not shown', async (t) => {
  const { client } = await start(t, { databaseUrl: 'postgresql://nobody:pa55word@127.0.0.1:1/nothing' })
  const { text, body } = await client.request('GET', '/')
  t.match(body.postgres, /^postgresql:\/\/nobody\b.*@127\.0\.0\.1:1\/nothing$/)
  t.notMatch(text, 'pa55word')
})

t.test('the stream of a page ends completely, and is not cut off', async (t) => {
  const { sidecar, ops } = await start(t)
  const request = get(`${ops.base}/ui/stream`, { agent: false })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const ended = once(response.resume(), 'close')
  await sidecar.close()
  await ended
  t.equal(response.complete, true)
})

t.test('streams of changes end at once, so that nothing is cut off', async (t) => {
  const { sidecar, client, log } = await start(t, { shutdownTimeoutMs: 4_000 })
  const stream = await EventStream.open(t, `${client.base}/v1/changes`)
  await stream.next('open')
  await sidecar.close()
  t.equal(await stream.next(), undefined)
  t.notMatch(log.join(''), /cut off|not closed within/)
})

t.test('a request that waits for a change is answered at the end', async (t) => {
  const { sidecar, client, log } = await start(t, { shutdownTimeoutMs: 4_000 })
  t.equal((await client.set('k', 1)).status, 200, 'a pending write')
  const first = await client.request('GET', '/v1/entries/k')
  t.equal(first.status, 200)
  const headers = { 'If-None-Match': '*', Prefer: 'wait=60' }
  const waiting = client.request('GET', '/v1/entries/k', { headers })
  await eventually(async () => (await client.stats()).fill_leases.waiting === 1)
  await sidecar.close()
  t.equal((await waiting).status, 304)
  t.notMatch(log.join(''), 'cut off')
})

t.test('a sidecar that is closed twice ends once', async (t) => {
  const { sidecar } = await start(t)
  t.equal(sidecar.close(), sidecar.close())
})

t.test('settings that can change are applied to the log, too', async (t) => {
  const { config } = loadConfig({})
  const { sidecar, client, log } = await start(t)
  const setting = { ...config, capacity: 77, ttlSeconds: 5 }
  sidecar.reconfigure({ ...setting, logLevel: 'warn' })
  t.match(await client.request('GET', '/cache/stats'), { body: { capacity: 77, ttl_seconds: 5 } })
  t.match(await client.request('GET', '/'), { body: { cache: { capacity: 77, ttl_seconds: 5 } } })
  const before = log.filter((line) => line.includes('"level":20')).length
  await client.get('none')
  t.equal(log.filter((line) => line.includes('"level":20')).length, before)
  sidecar.reconfigure({ ...setting, logLevel: 'debug' })
  await client.get('none')
  t.ok(log.filter((line) => line.includes('"level":20')).length > before)
})
