import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import t from 'tap'
import { dataLimits } from '../../../src/http/server/connection-limits.js'
import { HttpServer } from '../../../src/http/server/server.js'

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
