import { once } from 'node:events'
import { connect, Server as NetServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { dataLimits } from '../../../src/http/server/connection-limits.js'
import { HttpServer } from '../../../src/http/server/server.js'
import { JsonClient } from '../../support/json-client.js'

const loopbacks = ['127.0.0.1', '[::1]'] as const

async function listening(t: Test, host: string, options: { port?: number; maxConnections?: number } = {}) {
  const { port = 0, maxConnections = 10 } = options
  const server = new HttpServer({
    address: { host, port },
    limits: { ...dataLimits, maxConnections },
    listener: (_request, response) => response.end('{}'),
    idleGraceMs: 0,
  })
  t.teardown(() => server.close(0))
  await server.listen()
  return server
}

const statusAt = async (host: string, port: number) =>
  (await new JsonClient(`http://${host}:${port}`).request('GET', '/')).status

async function connected(t: Test, host: string, port: number): Promise<Socket> {
  const socket = connect(port, host)
  t.teardown(() => socket.destroy())
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

/** Node refuses every address of IPv6, with the error that the system would give, until the test ends. */
function withoutIpv6(t: Test, code: string): void {
  const { listen } = NetServer.prototype
  t.teardown(() => {
    NetServer.prototype.listen = listen
  })
  NetServer.prototype.listen = function (this: NetServer, ...args: unknown[]) {
    if (!String(args[1]).includes(':')) return listen.apply(this, args as Parameters<typeof listen>)
    process.nextTick(() => this.emit('error', Object.assign(new Error(`listen ${code}`), { code })))
    return this
  } as typeof listen
}

t.test('localhost means both loopback addresses, on one port', async (t) => {
  for (const _ of Array(5)) {
    const { port } = await listening(t, 'localhost')
    for (const host of loopbacks) t.equal(await statusAt(host, port), 200, host)
  }
})

t.test('a port that is taken on one of the two addresses is refused', async (t) => {
  for (const taken of ['127.0.0.1', '::1']) {
    const { port } = await listening(t, taken)
    await t.rejects(listening(t, 'localhost', { port }), { code: 'EADDRINUSE' }, taken)
    // Nothing is left of the attempt.
    const other = taken === '::1' ? '127.0.0.1' : '::1'
    await (await listening(t, other, { port })).close(0)
  }
})

t.test('limits and closing apply to both addresses together', async (t) => {
  const server = await listening(t, 'localhost', { maxConnections: 3 })
  const open = [await connected(t, '127.0.0.1', server.port), await connected(t, '::1', server.port)]
  open.push(await connected(t, '::1', server.port))
  for (const host of ['127.0.0.1', '::1'] as const) {
    const oldest = open.shift()?.resume() as Socket
    const closed = once(oldest, 'close')
    open.push(await connected(t, host, server.port))
    await closed
  }
  t.match(server.closedConnections, { evicted: 2, full: 0 }, 'the one that has been idle longest makes room')

  const ended = open.map((socket) => once(socket.resume(), 'close'))
  open[1]?.write('GET / HTTP/1.1\r\nHost: localhost\r\n')
  await server.close(50)
  await Promise.all(ended)
  for (const host of loopbacks) await t.rejects(statusAt(host, server.port), { code: 'ECONNREFUSED' })
})

t.test('without IPv6, only IPv4 is used', async (t) => {
  for (const code of ['EAFNOSUPPORT', 'EADDRNOTAVAIL'])
    await t.test(code, async (t) => {
      withoutIpv6(t, code)
      for (const host of ['localhost', '::']) {
        const { port } = await listening(t, host)
        t.equal(await statusAt('127.0.0.1', port), 200, host)
      }
      await t.rejects(listening(t, '::1'), { code }, 'an address that is asked for by itself')
    })
})

t.test(':: means every address of both families', async (t) => {
  const { port } = await listening(t, '::')
  for (const host of loopbacks) t.equal(await statusAt(host, port), 200, host)
})
