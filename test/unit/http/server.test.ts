import { once } from 'node:events'
import { Agent, get, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import t from 'tap'
import { dataLimits } from '../../../src/http/server/connection-limits.js'
import { HttpServer } from '../../../src/http/server/server.js'
import { eventually } from '../../support/eventually.js'
import { exchange } from '../../support/raw-http.js'

t.test('idle connections stay open and are reused', async (t) => {
  const server = new HttpServer({
    address: { host: '127.0.0.1', port: 0 },
    limits: { ...dataLimits, maxConnections: 10 },
    listener: (_request, response) => response.end(),
    idleGraceMs: 500,
  })
  await server.listen()
  t.teardown(() => server.close(10_000))
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const ports = new Set<number | undefined>()
  for (const _ of [1, 2]) {
    const [response] = (await once(get({ port: server.port, host: '127.0.0.1', agent }), 'response')) as [
      IncomingMessage,
    ]
    ports.add(response.socket.localPort)
    t.equal(response.headers.connection, 'keep-alive')
    t.equal(response.headers['keep-alive'], undefined, 'no promise to close it after a while')
    await once(response.resume(), 'end')
  }
  t.equal(ports.size, 1)
})

t.test('a request that has arrived is answered, however late the server looks after the grace', async (t) => {
  const server = new HttpServer({
    address: { host: '127.0.0.1', port: 0 },
    limits: { ...dataLimits, maxConnections: 10 },
    listener: (_request, response) => response.end('answered'),
    idleGraceMs: 5,
  })
  await server.listen()
  t.teardown(() => server.close(0))
  const socket = connect(server.port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  const answered = async () => {
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    return String((await once(socket, 'data'))[0])
  }
  t.match(await answered(), /answered/)
  const closed = server.close(60_000)
  const answer = answered()
  // The process gets no CPU time until the grace is over.
  for (const startMs = performance.now(); performance.now() - startMs < 20; );
  t.match(await answer, /answered/)
  t.equal(await closed, 0)
})

t.test('an address that is in use is not taken for too many connections', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  let full = 0
  const server = new HttpServer({
    address: { host: '127.0.0.1', port: (taken.address() as AddressInfo).port },
    limits: { ...dataLimits, maxConnections: 10 },
    listener: (_request, response) => response.end(),
    idleGraceMs: 0,
    onFull: () => full++,
  })
  await t.rejects(server.listen(), { code: 'EADDRINUSE' })
  t.equal(full, 0)
})

t.test('requests in progress with large headers are bounded in memory', async (t) => {
  const held: ServerResponse[] = []
  const server = new HttpServer({
    address: { host: '127.0.0.1', port: 0 },
    limits: { ...dataLimits, maxConnections: 100, maxWaitingBytes: 50_000 },
    listener: (request, response) => {
      if (request.url === '/hold') held.push(response)
      else response.end()
    },
    idleGraceMs: 0,
  })
  await server.listen()
  t.teardown(() => server.close(0))
  const large = `X-Large: ${'x'.repeat(14_000)}\r\n`
  const ask = (path: string, headers = '') =>
    exchange(server.port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${headers}\r\n`)
  const first = Array.from({ length: 3 }, () => ask('/hold', large))
  await eventually(() => held.length === 3)
  t.match(await ask('/', large), /^HTTP\/1.1 503 .*"No memory is left for the headers/s)
  t.match(await ask('/'), /^HTTP\/1.1 200 /, 'others are not affected')
  for (const response of held) response.end()
  for (const text of await Promise.all(first)) t.match(text, /^HTTP\/1.1 200 /)
  t.match(await ask('/', large), /^HTTP\/1.1 200 /, 'the room is free again')
})

t.test('CONNECT is answered, in its turn', async (t) => {
  const server = new HttpServer({
    address: { host: '127.0.0.1', port: 0 },
    limits: { ...dataLimits, maxConnections: 10 },
    listener: (_request, response) => setImmediate(() => response.end('first')),
    idleGraceMs: 0,
  })
  await server.listen()
  t.teardown(() => server.close(0))
  const tunnel = 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n'
  t.match(await exchange(server.port, tunnel), /^HTTP\/1.1 405 .*"CONNECT is not allowed"/s)
  t.match(
    await exchange(server.port, `GET / HTTP/1.1\r\nHost: a\r\n\r\n${tunnel}`),
    /^HTTP\/1.1 200 .*first.*HTTP\/1.1 405 /s,
  )
})
