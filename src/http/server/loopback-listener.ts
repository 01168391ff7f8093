import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/** System error codes for an address of an unsupported address family. */
const noSuchFamily: ReadonlySet<string | undefined> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL'])

/** Number of free ports that are tried, because a port that is free for IPv4 may be taken for IPv6. */
const portAttempts = 20

/**
 * Listens on the address. `localhost` means 127.0.0.1 and ::1 with the same port, because a client may resolve the name
 * to either. `::` means all addresses of both families. If IPv6 is disabled, both mean IPv4 only.
 *
 * Returns the listener on ::1, which passes its connections to `server`, or undefined if there is none.
 */
export async function listenOn(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<LoopbackListener | undefined> {
  if (host === 'localhost') return listenOnLoopbacks(server, port)
  try {
    await bind(server, port, host)
  } catch (error) {
    if (host !== '::' || !isFamilyMissing(error)) throw error
    await bind(server, port, '0.0.0.0')
  }
  return undefined
}

/** Listens on both loopback addresses. Port 0 means any port that is free on both. */
async function listenOnLoopbacks(server: Server, wanted: number): Promise<LoopbackListener | undefined> {
  for (let attempt = 1; ; attempt++) {
    await bind(server, wanted, '127.0.0.1')
    const { port } = server.address() as { readonly port: number }
    const second = new LoopbackListener(server)
    try {
      await second.listen(port)
      return second
    } catch (error) {
      if (isFamilyMissing(error)) return undefined
      await new Promise((resolve) => server.close(resolve))
      if (wanted !== 0 || attempt === portAttempts) throw error
    }
  }
}

/** Listens on ::1 for a server that listens on 127.0.0.1. */
export class LoopbackListener {
  readonly #listener: Server

  constructor(server: Server) {
    const settings = { allowHalfOpen: true, noDelay: true }
    this.#listener = createServer(settings, (socket) => server.emit('connection', socket))
  }

  async listen(port: number): Promise<void> {
    await bind(this.#listener, port, '::1')
  }

  /** Stops listening, and calls back when all connections of this listener are closed. */
  close(onClosed: () => void): void {
    this.#listener.close(onClosed)
  }

  connections(): Promise<number> {
    return connectionsOf(this.#listener)
  }
}

export function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.getConnections((_error, count) => resolve(count ?? 0))
  })
}

async function bind(server: Server, port: number, host: string): Promise<void> {
  const listening = once(server, 'listening')
  server.listen(port, host)
  await listening
}

function isFamilyMissing(error: unknown): boolean {
  return noSuchFamily.has((error as NodeJS.ErrnoException).code)
}
