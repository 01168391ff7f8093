import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { receiveBody } from '../../../src/http/fast-lane/request-body.js'
import { type ConnectionLimits, dataLimits, opsLimits } from '../../../src/http/server/connection-limits.js'
import { RequestBodies } from '../../../src/http/server/request-bodies.js'
import { HttpServer } from '../../../src/http/server/server.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { JsonClient } from '../../support/json-client.js'
import { exchange } from '../../support/raw-http.js'
import { startLiveSidecar } from '../../support/sidecar.js'

/** Limits as in production, but with shorter times. */
const short: ConnectionLimits = {
  ...dataLimits,
  maxConnections: 100,
  headersTimeoutMs: 300,
  requestTimeoutMs: 600,
  readTimeoutMs: 300,
  checkIntervalMs: 20,
}

const largeBytes = 32 * 1024 * 1024
const large = Buffer.alloc(largeBytes, 'x')

/** Starts a server that returns each body that it gets, and a large body at /large. */
async function startServer(t: Test, limits: ConnectionLimits) {
  let closed = 0
  const server = new HttpServer({
    address: { host: '127.0.0.1', port: 0 },
    limits,
    idleGraceMs: 0,
    listener: async (request, response) => {
      if (request.url === '/large') {
        request.socket.once('close', () => closed++)
        return response.end(large)
      }
      if (request.url === '/received') {
        return receiveBody(
          request,
          Number(request.headers['content-length']),
          new RequestBodies(10_000_000),
          (bytes) => response.end(String(bytes?.length)),
        )
      }
      // Since Node 24 a request without a body has no end event.
      if (request.method === 'GET') return response.end('0')
      let bytes = 0
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length
      })
      request.on('error', () => undefined)
      request.on('end', () => response.end(String(bytes)))
    },
  })
  await server.listen()
  t.teardown(() => server.close(0))
  return { server, port: server.port, closed: () => closed }
}

async function open(t: Test, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** A byte now and then, for as long as the connection is there. Resolves when it is not. */
async function trickle(socket: Socket): Promise<string> {
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk
  })
  const timer = setInterval(() => socket.write('a'), 20)
  await once(socket, 'close')
  clearInterval(timer)
  return answer
}

const limitsOf: Readonly<Record<string, ConnectionLimits>> = {
  'data listener': short,
  'operations listener': { ...opsLimits, ...short, idleTimeoutMs: 120_000 },
}

for (const [name, limits] of Object.entries(limitsOf)) {
  t.test(`slow clients of the ${name}`, async (t) => {
    const { port, closed } = await startServer(t, limits)
    const others = new JsonClient(`http://127.0.0.1:${port}`)

    await t.test('headers that never end are cut off', async (t) => {
      const sockets = await Promise.all(Array.from({ length: 20 }, () => open(t, port)))
      const cut = Promise.all(
        sockets.map((socket) => {
          socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nX-')
          return trickle(socket)
        }),
      )
      t.equal((await others.request('GET', '/')).status, 200, 'others are served')
      for (const answer of await cut) t.match(answer, /^HTTP\/1.1 408 /)
    })

    await t.test('a connection that sends nothing is closed', async (t) => {
      const socket = await open(t, port)
      socket.resume()
      await once(socket, 'close')
    })

    for (const path of ['/', '/received']) {
      await t.test(`a body that never ends: POST ${path}`, async (t) => {
        const socket = await open(t, port)
        socket.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n`)
        const cut = trickle(socket)
        t.equal((await others.request('POST', path, { raw: 'four' })).text, '4', 'others are served')
        t.match(await cut, /^HTTP\/1.1 408 /)
      })
    }

    await t.test('a slow second request is cut off too', async (t) => {
      const socket = await open(t, port)
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await once(socket, 'data')
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nX-')
      t.match(await trickle(socket), /^HTTP\/1.1 408 /)
    })

    await t.test('a client that never reads its responses is cut off', async (t) => {
      const socket = await open(t, port)
      socket.pause()
      const before = closed()
      socket.write('GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n')
      t.equal((await others.request('GET', '/')).status, 200, 'others are served')
      // Nothing is sent meanwhile: a request begun would be cut off for its headers.
      await eventually(() => closed() > before, { withinMs: 5_000 })
    })
  })
}

t.test('a client that is slow but within the limits is served', async (t) => {
  const { port } = await startServer(t, short)
  const socket = await open(t, port)
  socket.write('GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  let bytes = 0
  socket.on('data', (chunk) => {
    bytes += chunk.length
    // Longer for all of it than who takes nothing may wait, and never that long without taking some.
    socket.pause()
    setTimeout(() => socket.resume(), 1)
  })
  await once(socket, 'end')
  t.ok(bytes > largeBytes, 'an answer that is read slowly is read to its end')
})

const patient: ConnectionLimits = { ...short, headersTimeoutMs: 60_000, requestTimeoutMs: 60_000 }
const health = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
/** Its headers are complete, its body is not. */
const unfinished = (header = '') =>
  `POST / HTTP/1.1\r\nHost: localhost\r\n${header}Content-Length: 4\r\n\r\nf`

/** Sends a request and waits for the beginning of its response. */
async function answered(socket: Socket, text: string): Promise<string> {
  socket.write(text)
  return String((await once(socket, 'data'))[0])
}

t.test('at the limit of connections, the longest idle one is closed', async (t) => {
  // No look meanwhile: the order is that of connecting.
  const { server, port } = await startServer(t, { ...patient, checkIntervalMs: 60_000, maxConnections: 3 })
  const [oldest, busy, idle] = [await open(t, port), await open(t, port), await open(t, port)] as const
  t.match(await answered(oldest, health), /^HTTP\/1.1 200 /)
  t.match(await answered(idle, health), /^HTTP\/1.1 200 /)
  // The headers have arrived when the server asks for the body.
  t.match(await answered(busy, unfinished('Expect: 100-continue\r\n')), /^HTTP\/1.1 100 /)
  for (const closed of [oldest, idle]) {
    const ended = once(closed.resume(), 'close')
    await open(t, port)
    await ended
  }
  t.match(await answered(busy, 'our'), /^HTTP\/1.1 200 /, 'one that is busy stays')
  t.same([server.closedConnections.evicted, server.closedConnections.full], [2, 0])
})

t.test('the longest idle connection is the one with the oldest request', async (t) => {
  // An idle time below the interval counts as none.
  await eventually(async () => {
    const { port } = await startServer(t, { ...patient, maxConnections: 2 })
    const [first, second] = [await open(t, port), await open(t, port)] as const
    for (const socket of [second, first]) {
      await answered(socket, health)
      await new Promise((resolve) => setTimeout(resolve, 2 * short.checkIntervalMs))
    }
    const closed = [first, second].map(async (socket) => {
      await once(socket.resume(), 'close')
      return socket
    })
    await open(t, port)
    return (await Promise.race(closed)) === second
  })
})

t.test('at the limit without an idle connection, new ones are refused', async (t) => {
  const { server, port } = await startServer(t, { ...patient, maxConnections: 2 })
  const busy = [await open(t, port), await open(t, port)] as const
  for (const socket of busy) await answered(socket, unfinished('Expect: 100-continue\r\n'))
  await once((await open(t, port)).resume(), 'close')
  t.same([server.closedConnections.evicted, server.closedConnections.full], [0, 1])
  for (const socket of busy) t.match(await answered(socket, 'our'), /^HTTP\/1.1 200 /)
})

t.test('a probe always gets a connection to the operations listener', async (t) => {
  const { server, port } = await startServer(t, {
    ...opsLimits,
    ...patient,
    evicts: 'any',
    maxConnections: 20,
  })
  const client = new JsonClient(`http://127.0.0.1:${port}`)
  for (const text of ['', health, 'GET / HT', unfinished()]) {
    const held = await Promise.all(Array.from({ length: 20 }, () => open(t, port)))
    for (const socket of held) socket.resume().write(text)
    for (let probe = 0; probe < 5; probe++) t.equal((await client.request('GET', '/')).status, 200)
    for (const socket of held) socket.destroy()
  }
  t.ok(server.closedConnections.evicted >= 4)
})

t.test('idle connections to the operations listener are closed', async (t) => {
  t.ok(opsLimits.idleTimeoutMs <= 10_000, 'a probe, and a scrape a minute, need no connection that is open')
  const { port } = await startServer(t, { ...opsLimits, ...short, idleTimeoutMs: 200 })
  const socket = await open(t, port)
  await answered(socket, health)
  await once(socket, 'close')
})

t.test('a client that does not read is cut off in time', async (t) => {
  const { server, closed } = await startServer(t, { ...short, readTimeoutMs: 2_000, checkIntervalMs: 100 })
  const socket = await open(t, server.port)
  socket.pause()
  socket.write('GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n')
  // Node's own timer takes two such times.
  await eventually(() => closed() > 0, { withinMs: 3_500 })
  t.equal(server.closedConnections.unread, 1)
})

t.test(
  'a connection to a machine that is gone is closed',
  { skip: process.platform !== 'linux' },
  async (t) => {
    // With short limits, the connection could be closed before the list is read.
    const { port } = await startServer(t, { ...dataLimits, maxConnections: 100 })
    const socket = await open(t, port)
    // The kernel's list of connections: local address, remote address, state, queues, and the timer that runs; 2 is
    // keep-alive.
    const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, '0')
    const row = new RegExp(`: 0100007F:${hex(port)} 0100007F:${hex(socket.localPort as number)} 01 \\S+ 02:`)
    await eventually(async () => row.test(await readFile('/proc/net/tcp', 'utf8')))
  },
)

t.test('a sidecar limits headers, URLs and connections', async (t) => {
  const { url: databaseUrl } = await cacheDatabase(t)
  const { sidecar, ops, client, log } = await startLiveSidecar(t, { databaseUrl, maxConnections: 5 })
  const request = (line: string, headers: string) =>
    exchange(sidecar.port, `${line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${headers}\r\n`)

  t.match(await request('GET /health', `A: ${'a'.repeat(17_000)}\r\n`), /^HTTP\/1.1 431 /)
  t.match(await request('GET /health', 'A: a\r\n'.repeat(99)), /^HTTP\/1.1 431 [\s\S]*more than 100/)
  // Node would drop the last ones unseen: with them, a wish for a strong read.
  t.match(await request('GET /cache/get?key=k', 'A: a\r\n'.repeat(1_500)), /^HTTP\/1.1 431 /)
  t.match(await request('GET /health', 'A: a\r\n'.repeat(98)), /^HTTP\/1.1 200 /)
  t.match(await request(`GET /cache/get?key=${'k'.repeat(13_000)}`, ''), /^HTTP\/1.1 414 /)
  const longest = '%f0%9f%98%80'.repeat(256)
  t.match(await request(`GET /cache/get?key=${longest}`, ''), /^HTTP\/1.1 404 /, 'the longest key fits')

  const sockets = await Promise.all(Array.from({ length: 6 }, () => open(t, sidecar.port)))
  await eventually(async () =>
    /^caching_layer_connections_closed_total\{reason="evicted"\} [1-9]/m.test(
      (await ops.request('GET', '/metrics')).text,
    ),
  )
  t.match(
    log.join(''),
    /"listener":"data","maxConnections":5,"count":1,"msg":"as many connections are open as may be"/,
  )
  for (const socket of sockets) socket.destroy()
  await eventually(() => client.stats().catch(() => undefined))
})

t.test(
  'waiting requests are bounded over all connections; the one that exceeds the bound is closed',
  async (t) => {
    let excess = 0
    const held: ServerResponse[] = []
    const server = new HttpServer({
      address: { host: '127.0.0.1', port: 0 },
      limits: { ...dataLimits, maxConnections: 10, maxWaitingBytes: 120_000 },
      idleGraceMs: 0,
      onExcess: () => excess++,
      listener: (request, response) => {
        if (request.url === '/hold') held.push(response)
        else response.end('!')
      },
    })
    await server.listen()
    t.teardown(() => server.close(0))
    const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`
    const last = get('/', 'Connection: close\r\n')
    const responses = (text: string) => text.split('HTTP/1.1 200').length - 1

    const first = exchange(server.port, `${get('/hold')}${get('/').repeat(39)}${last}`)
    await eventually(() => held.length === 1)
    const second = exchange(server.port, `${get('/hold')}${get('/').repeat(39)}${last}`).catch(() => '')
    t.equal(await second, '', 'closed without a response')
    t.match({ excess, closed: server.closedConnections }, { excess: 1, closed: { pipelined: 1 } })
    for (const response of held) response.end('!')
    t.equal(responses(await first), 41, 'the other connection gets its responses')

    for (let round = 0; round < 3; round++)
      t.equal(
        responses(await exchange(server.port, `${get('/').repeat(45)}${last}`)),
        46,
        'the room is free again',
      )
  },
)

t.test(
  'the operations listener answers a few pipelined probes, and closes a flood of them early',
  async (t) => {
    const { url: databaseUrl } = await cacheDatabase(t)
    const { sidecar } = await startLiveSidecar(t, { databaseUrl })
    const probe = (more = '') => `GET /livez HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`
    const few = await exchange(sidecar.opsPort, `${probe().repeat(9)}${probe('Connection: close\r\n')}`)
    t.equal(few.split('HTTP/1.1 200').length - 1, 10)
    // Every one that is parsed keeps the probes of others waiting.
    const flood = await exchange(
      sidecar.opsPort,
      `${probe().repeat(99)}${probe('Connection: close\r\n')}`,
    ).catch(() => '')
    t.equal(flood, '')
  },
)
