import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Treatment of one connection. */
export interface Lead {
  /** Port that the connection is led to; undefined if there is none, so that it is reset. */
  readonly port: number | undefined
  /** Time by which everything that the sidecar sends is late, in ms. */
  readonly delayMs: number
  /** Time after which the connection is reset, in ms; undefined to keep it. */
  readonly lifetimeMs: number | undefined
}

/** Listens in front of sidecars, and decides for each connection where it leads, as a balancer does. */
export class Front {
  readonly #lead: () => Lead
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #connections = 0

  /** `lead` is called for each connection. */
  constructor(lead: () => Lead) {
    this.#lead = lead
    this.#server = createServer((client) => this.#accept(client))
  }

  /** Number of connections so far. */
  get connections(): number {
    return this.#connections
  }

  /** Resolves to its URL. */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Ends all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.cut()
    await closed
  }

  #accept(client: Socket): void {
    const { port, delayMs, lifetimeMs } = this.#lead()
    this.#connections++
    this.#keep(client)
    if (port === undefined) {
      client.resetAndDestroy()
      return
    }
    const sidecar = connect(port, '127.0.0.1')
    this.#keep(sidecar)
    // Timers of one duration run in the order in which they were set.
    const later = (act: () => unknown) => (delayMs === 0 ? act() : setTimeout(act, delayMs).unref())
    client.on('data', (bytes) => sidecar.write(bytes))
    client.on('close', () => sidecar.destroy())
    sidecar.on('data', (bytes) => later(() => client.destroyed || client.write(bytes)))
    sidecar.on('close', () => later(() => client.destroySoon()))
    if (lifetimeMs === undefined) return
    const end = setTimeout(() => client.destroy(), lifetimeMs)
    client.on('close', () => clearTimeout(end))
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => this.#sockets.delete(socket))
  }
}
