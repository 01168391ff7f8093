import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Owner } from './database.js'

export interface Balancer {
  readonly url: string
  /** Ports that connections are led to, in turn. */
  targets: readonly number[]
  /** Ends all connections, as when a sidecar ends. */
  cut(): void
}

/** Starts a balancer that leads each connection to the next port. */
export async function balancer(t: Owner, targets: readonly number[]): Promise<Balancer> {
  const sockets = new Set<Socket>()
  let connections = 0
  const one: { targets: readonly number[] } = { targets }
  const server = createServer((client) => {
    const target = connect(one.targets[connections++ % one.targets.length] as number, '127.0.0.1')
    for (const [socket, other] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  t.teardown(() => {
    server.close()
    cut()
  })
  return Object.assign(one, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, cut })
}
