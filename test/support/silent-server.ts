import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { Owner } from './database.js'

export interface SilentServer {
  /** URL as of a database. */
  readonly url: string
  /** Number of connections that it has accepted. */
  connections(): number
  /** Number of these that the client has not given up. */
  openConnections(): number
}

/** Starts a server that accepts connections and sends nothing. */
export async function silentServer(t: Owner): Promise<SilentServer> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => sockets.add(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port } = server.address() as { port: number }
  return {
    url: `postgresql://nobody@127.0.0.1:${port}/nothing`,
    connections: () => sockets.size,
    openConnections: () => [...sockets].filter(({ readyState }) => readyState === 'open').length,
  }
}
