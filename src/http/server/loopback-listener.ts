import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/** Codes of the system for an address of a family that it does not have. */
const noSuchFamily: ReadonlySet<string | undefined> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL'])

/** How many free ports of one family are tried, because a port that is free in one family may be taken in the other. */
const portAttempts = 20

/**
 * Listens on the address. `localhost` is 127.0.0.1 and ::1 with the same port, because a client may resolve the name to
 * either; `::` is every address of both families. Where IPv6 is off both mean IPv4 alone.
 *
 * Returns the listener on ::1, if there is one, which hands its connections to `server`.
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

/** The port 0 asks for any that is free on both addresses. */
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

  /** Calls back when all its connections are closed. */
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
