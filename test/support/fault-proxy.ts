import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { BackendMessages, queryMessage, typeOf } from './backend-messages.js'

/** `to-server`: what the client sends; `to-client`: what the server answers. */
export type Direction = 'to-server' | 'to-client'

/**
 * What happens to bytes that go one way:
 * - `pass`: they arrive;
 * - `delay`: they arrive `ms` later, in order;
 * - `hold`: they arrive when the mode changes (a link that is mended while TCP still retransmits);
 * - `drop`: they never arrive, and neither does the end of the connection (half-open);
 * - `cut`: after `bytes` more of them the connection is reset, both ways.
 */
export type Flow =
  | { readonly kind: 'pass' }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'hold' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'cut'; readonly bytes: number }

/** New connections: `accept`; `refuse`, by RST; `ignore`, accepted and never answered. */
export type Admission = 'accept' | 'refuse' | 'ignore'

/** Which connections a fault is for: all, those of the pool, or the listening one, told by their application_name. */
export type Scope = 'all' | 'pool' | 'listener'

export interface Fault {
  readonly scope?: Scope
  readonly toServer?: Flow
  readonly toClient?: Flow
  readonly admission?: Admission
  /** Only connections that there are now; new ones pass. */
  readonly existingOnly?: boolean
}

export interface ProxyCounts {
  accepted: number
  refused: number
  ignored: number
  reset: number
  bytesToServer: number
  bytesToClient: number
  bytesDropped: number
}

const pass: Flow = { kind: 'pass' }
/** How long the server is left with a connection whose client has gone unnoticed. */
const orphanMs = 20_000

/** A TCP proxy in front of a PostgreSQL server that can fail in the ways of a network, switched at run time. */
export class FaultProxy {
  readonly counts: ProxyCounts = {
    accepted: 0,
    refused: 0,
    ignored: 0,
    reset: 0,
    bytesToServer: 0,
    bytesToClient: 0,
    bytesDropped: 0,
  }
  readonly #server: Server
  readonly #links = new Set<Link>()
  readonly #ignored = new Set<Socket>()
  #targetPort: number
  #fault: Fault = {}
  #isBarred = false

  constructor(targetPort: number) {
    this.#targetPort = targetPort
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#admit(client))
  }

  /** Resolves to the port. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(0, '127.0.0.1', resolve)
    })
    return (this.#server.address() as AddressInfo).port
  }

  /** Connections open now. */
  connections(scope: Scope = 'all'): number {
    return [...this.#links].filter((link) => link.isIn(scope)).length
  }

  /** From now on this fault, in place of any other. */
  set(fault: Fault): void {
    this.#fault = fault.existingOnly ? {} : fault
    for (const link of this.#links) link.flow(fault)
  }

  /**
   * The listening session forgets what it listens to and its client is not told, as behind a pooler that cleans
   * up between two clients. False while no such session is at rest.
   */
  deafen(): boolean {
    return [...this.#links].some((link) => link.deafen())
  }

  /** RST, to both sides. */
  reset(scope: Scope = 'all'): void {
    for (const link of this.#links) if (link.isIn(scope)) link.reset()
  }

  /**
   * New connections pass. Those that have lost bytes can never be whole again: they stay half-open, unless
   * `reset` asks for an RST, which is what a peer sends that has given up in the meantime.
   */
  heal({ reset = false }: { reset?: boolean } = {}): void {
    this.#fault = {}
    for (const link of this.#links) {
      if (!link.hasLostBytes) link.flow({})
      else if (reset) link.reset()
    }
    for (const socket of this.#ignored) socket.resetAndDestroy()
    this.#ignored.clear()
  }

  /** Connections accepted from now on lead to the server at this port. */
  lead(targetPort: number): void {
    this.#targetPort = targetPort
  }

  /** Resets the connections in this scope and refuses new ones until `unbar`, whatever fault is set or healed meanwhile. */
  bar(scope: Scope = 'all'): void {
    this.#isBarred = true
    this.reset(scope)
  }

  unbar(): void {
    this.#isBarred = false
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const link of this.#links) link.reset()
    for (const socket of this.#ignored) socket.destroy()
    await closed
  }

  #admit(client: Socket): void {
    client.on('error', () => undefined)
    const { admission = 'accept' } = this.#isBarred ? { admission: 'refuse' as const } : this.#fault
    if (admission === 'refuse') {
      this.counts.refused++
      client.resetAndDestroy()
    } else if (admission === 'ignore') {
      this.counts.ignored++
      this.#ignored.add(client)
      client.resume().once('close', () => this.#ignored.delete(client))
    } else {
      this.counts.accepted++
      const link = new Link(client, this.#targetPort, this.counts, () => this.#links.delete(link))
      link.flow(this.#fault)
      this.#links.add(link)
    }
  }
}

/** One connection through the proxy. */
class Link {
  hasLostBytes = false
  readonly #client: Socket
  readonly #server: Socket
  readonly #counts: ProxyCounts
  readonly #onClosed: () => void
  readonly #pipes: Readonly<Record<Direction, Pipe>>
  readonly #said = new BackendMessages()
  #fault: Fault = {}
  #isListener: boolean | undefined
  /** The server has answered everything. */
  #isAtRest = false
  /** What the server says next answers us, and not the client. */
  #isOurs = false
  #isOver = false

  constructor(client: Socket, targetPort: number, counts: ProxyCounts, onClosed: () => void) {
    this.#client = client
    this.#counts = counts
    this.#onClosed = onClosed
    this.#server = connect({ host: '127.0.0.1', port: targetPort, allowHalfOpen: true })
    this.#pipes = {
      'to-server': new Pipe(client, this.#server, {
        onChunk: (chunk) => {
          counts.bytesToServer += chunk.length
          this.#recognise(chunk)
          this.#isAtRest = false
          return chunk
        },
        onLost: (bytes) => this.#lose(bytes),
        onCut: () => this.reset(),
      }),
      'to-client': new Pipe(this.#server, client, {
        onChunk: (chunk) => {
          counts.bytesToClient += chunk.length
          return this.#isListener ? this.#heard(chunk) : chunk
        },
        onLost: (bytes) => this.#lose(bytes),
        onCut: () => this.reset(),
      }),
    }
    // A side that is gone is news for the other one, which travels, or not, as bytes do.
    client.on('close', () => this.#gone('to-server'))
    this.#server.on('error', () => undefined).on('close', () => this.#gone('to-client'))
  }

  isIn(scope: Scope): boolean {
    return scope === 'all' || this.#isListener === undefined || this.#isListener === (scope === 'listener')
  }

  flow(fault: Fault): void {
    this.#fault = fault
    this.#apply()
  }

  deafen(): boolean {
    const isPossible = this.#isListener && this.#isAtRest && this.#said.rest.length === 0 && !this.#isOver
    if (!isPossible) return false
    this.#isOurs = true
    // It will not be whole again.
    this.hasLostBytes = true
    this.#server.write(queryMessage('discard all'))
    return true
  }

  reset(): void {
    if (this.#isOver) return
    this.#counts.reset++
    this.#end()
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#client.resetAndDestroy()
    this.#server.resetAndDestroy()
    this.#onClosed()
  }

  #apply(): void {
    const concerned = this.isIn(this.#fault.scope ?? 'all')
    this.#pipes['to-server'].flow = (concerned && this.#fault.toServer) || pass
    this.#pipes['to-client'].flow = (concerned && this.#fault.toClient) || pass
  }

  /** What of it is for the client: of the answers to us, only notifications that were on their way. */
  #heard(chunk: Buffer): Buffer {
    const messages = this.#said.take(chunk)
    const wasOurs = this.#isOurs
    const passed = messages.filter((message) => {
      const isReady = typeOf(message) === 'Z'
      const isForClient = !this.#isOurs || typeOf(message) === 'A'
      if (isReady && !this.#isOurs) this.#isAtRest = true
      if (isReady) this.#isOurs = false
      return isForClient
    })
    if (!wasOurs) return chunk
    return Buffer.concat(this.#isOurs ? passed : [...passed, this.#said.rest])
  }

  /** The startup packet names the application; until it has come the connection may be any. */
  #recognise(chunk: Buffer): void {
    if (this.#isListener !== undefined) return
    this.#isListener = chunk.includes('caching-layer feed')
    this.#apply()
  }

  #lose(bytes: number): void {
    this.hasLostBytes = true
    this.#counts.bytesDropped += bytes
  }

  #gone(direction: Direction): void {
    if (this.#isOver) return
    const { flow, delayMs } = this.#pipes[direction]
    const isOver = this.#client.destroyed && this.#server.destroyed
    if (!isOver && (flow.kind === 'drop' || flow.kind === 'hold')) {
      this.hasLostBytes = true
      setTimeout(() => this.#end(), orphanMs).unref()
    } else if (!isOver && flow.kind === 'delay') setTimeout(() => this.#end(), delayMs).unref()
    else this.#end()
  }
}

interface PipeEvents {
  /** Answers with what goes on. */
  readonly onChunk: (chunk: Buffer) => Buffer
  readonly onLost: (bytes: number) => void
  readonly onCut: () => void
}

/** One direction of one connection. */
class Pipe {
  readonly #from: Socket
  readonly #to: Socket
  readonly #events: PipeEvents
  /** `undefined` is the end of the stream. */
  readonly #waiting: { readonly chunk: Buffer | undefined; readonly dueMs: number }[] = []
  #flow: Flow = pass
  #bytesLeft = 0
  #timer: NodeJS.Timeout | undefined

  constructor(from: Socket, to: Socket, events: PipeEvents) {
    this.#from = from
    this.#to = to
    this.#events = events
    from.on('data', (chunk: Buffer) => {
      const passed = events.onChunk(chunk)
      if (passed.length > 0) this.#take(passed)
    })
    from.on('end', () => this.#take(undefined))
  }

  get flow(): Flow {
    return this.#flow
  }

  get delayMs(): number {
    return this.#flow.kind === 'delay' ? this.#flow.ms : 0
  }

  set flow(flow: Flow) {
    if (flow === this.#flow) return
    this.#flow = flow
    if (flow.kind === 'cut') this.#bytesLeft = flow.bytes
    this.#release()
  }

  #take(chunk: Buffer | undefined): void {
    if (this.#flow.kind === 'drop') {
      this.#events.onLost(chunk?.length ?? 0)
      return
    }
    this.#waiting.push({ chunk, dueMs: performance.now() + this.delayMs })
    this.#release()
  }

  /** Sends what is due. What waited under another flow goes first. */
  #release(): void {
    clearTimeout(this.#timer)
    for (let next = this.#waiting[0]; next && this.#flow.kind !== 'hold'; next = this.#waiting[0]) {
      const { chunk, dueMs } = next
      const waitMs = this.#flow.kind === 'delay' ? dueMs - performance.now() : 0
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#release(), waitMs)
        return
      }
      this.#waiting.shift()
      if (this.#flow.kind === 'drop') this.#events.onLost(chunk?.length ?? 0)
      else this.#send(chunk)
    }
  }

  #send(chunk: Buffer | undefined): void {
    if (this.#to.destroyed) return
    if (chunk === undefined) {
      this.#to.end()
      return
    }
    const isCut = this.#flow.kind === 'cut' && chunk.length >= this.#bytesLeft
    const part = isCut ? chunk.subarray(0, this.#bytesLeft) : chunk
    if (this.#flow.kind === 'cut') this.#bytesLeft -= part.length
    if (!this.#to.write(part) && !this.#from.isPaused()) {
      this.#from.pause()
      this.#to.once('drain', () => this.#from.resume())
    }
    // Given to the system first: an RST overtakes what is still in our hands.
    if (isCut) setImmediate(() => this.#events.onCut())
  }
}
