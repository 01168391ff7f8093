import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { reset } from '../../support/reset.js'

/** Treatment of one connection. */
export interface Lead {
  /** Port that the connection is led to; undefined if there is none, so that it is reset. */
  readonly port: number | undefined
  /** Time by which everything that the sidecar sends is late, in ms. */
  readonly delayMs: number
  /** Time after which the connection is reset, in ms; undefined to keep it. */
  readonly lifetimeMs: number | undefined
}

/** `stream`: the connection begins with a request for the stream of changes. */
export type ConnectionKind = 'stream' | 'requests'

const streamRequest = 'GET /v1/changes'

/** Listens in front of sidecars, and decides for each connection where it leads, as a balancer does. */
export class Front {
  readonly #lead: (kind: ConnectionKind) => Lead
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #connections = 0

  /** `lead` is called when the first bytes of a connection have arrived. */
  constructor(lead: (kind: ConnectionKind) => Lead) {
    this.#lead = lead
    this.#server = createServer((client) => {
      this.#connections++
      this.#keep(client)
      client.once('data', (bytes) => {
        client.pause()
        this.#connect(client, bytes)
      })
    })
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

  #connect(client: Socket, first: Buffer): void {
    const isStream = first.subarray(0, streamRequest.length).toString() === streamRequest
    const { port, delayMs, lifetimeMs } = this.#lead(isStream ? 'stream' : 'requests')
    if (port === undefined) {
      reset(client)
      return
    }
    const sidecar = connect(port, '127.0.0.1')
    this.#keep(sidecar)
    // Timers of one duration run in the order in which they were set.
    const later = (act: () => unknown) => (delayMs === 0 ? act() : setTimeout(act, delayMs).unref())
    sidecar.write(first)
    client.on('data', (bytes) => sidecar.write(bytes)).resume()
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
