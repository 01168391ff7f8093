import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { BackendMessages, commandOf, queryMessage, translated, typeOf } from './backend-messages.js'
import { reset } from './reset.js'

/** `to-server`: what the client sends; `to-client`: what the server answers. */
export type Direction = 'to-server' | 'to-client'

/**
 * Treatment of the bytes in one direction:
 * - `pass`: they arrive;
 * - `delay`: they arrive `ms` later, in order;
 * - `hold`: they arrive when the mode changes (a link that is repaired while TCP still retransmits);
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

/**
 * Translation of errors and notices. The field V has the severity in English; servers before PostgreSQL 9.6 do not
 * send it.
 */
export type Translation = 'V kept' | 'V left out'

/**
 * Moment at which a link breaks: before the commit of pending writes gets to the server, or after the server has
 * answered it.
 */
export type CommitCut = 'before' | 'after'

export interface ProxyCounts {
  accepted: number
  refused: number
  ignored: number
  reset: number
  bytesToServer: number
  bytesToClient: number
  bytesDropped: number
  /** Connections broken around a commit of pending writes. */
  commitsCut: number
}

const pass: Flow = { kind: 'pass' }
const nothing = Buffer.alloc(0)
/** Time in ms that the server keeps a connection whose client has disappeared unnoticed. */
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
    commitsCut: 0,
  }
  readonly #server: Server
  readonly #links = new Set<Link>()
  readonly #ignored = new Set<Socket>()
  #targetPort: number
  readonly #speech: Speech = {
    translation: undefined,
    leak: undefined,
    commitCut: undefined,
    commitsToCut: 0,
  }
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

  /** Returns true if the server knows one of the open connections by this port of its client. */
  hasClientPort(port: number): boolean {
    return [...this.#links].some((link) => link.clientPort === port)
  }

  /** Sets the fault, in place of any other. */
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
  heal({ reset: mayReset = false }: { reset?: boolean } = {}): void {
    this.#fault = {}
    for (const link of this.#links) {
      if (!link.hasLostBytes) link.flow({})
      else if (mayReset) link.reset()
    }
    for (const socket of this.#ignored) reset(socket)
    this.#ignored.clear()
  }

  /** Connections accepted from now on lead to the server at this port. */
  lead(targetPort: number): void {
    this.#targetPort = targetPort
  }

  /**
   * Resets the connections in this scope and refuses new ones until `unbar`, whatever fault is set or healed meanwhile.
   */
  bar(scope: Scope = 'all'): void {
    this.#isBarred = true
    this.reset(scope)
  }

  unbar(): void {
    this.#isBarred = false
  }

  /** Translates errors and notices from now on. Call it without an argument to end that. */
  translate(translation?: Translation): void {
    this.#speech.translation = translation
  }

  /**
   * Begins every new session with this statement, without its client's knowledge, as behind a pooler that hands on
   * sessions with the settings of another client. Call it without an argument to end that, for new sessions.
   */
  leak(sql?: string): void {
    this.#speech.leak = sql
  }

  /** Breaks connections around the next `times` commits of pending writes. 0 ends that. */
  cutCommits(commitCut: CommitCut, times: number): void {
    this.#speech.commitCut = commitCut
    this.#speech.commitsToCut = times
  }

  /** Number of commits that are still to be cut. */
  get commitsToCut(): number {
    return this.#speech.commitsToCut
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
      reset(client)
    } else if (admission === 'ignore') {
      this.counts.ignored++
      this.#ignored.add(client)
      client.resume().once('close', () => this.#ignored.delete(client))
    } else {
      this.counts.accepted++
      const link = new Link({
        client,
        targetPort: this.#targetPort,
        counts: this.counts,
        speech: this.#speech,
        onClosed: () => this.#links.delete(link),
      })
      link.flow(this.#fault)
      this.#links.add(link)
    }
  }
}

/** Changes that the proxy makes to the messages of all its connections. */
interface Speech {
  translation: Translation | undefined
  leak: string | undefined
  commitCut: CommitCut | undefined
  commitsToCut: number
}

interface LinkParts {
  readonly client: Socket
  readonly targetPort: number
  readonly counts: ProxyCounts
  readonly speech: Speech
  readonly onClosed: () => void
}

/** Statements with which a sidecar begins and ends the transaction of its pending writes. */
const settlingBegins = Buffer.from('begin; set local idle_in_transaction_session_timeout')
const commit = queryMessage('commit')
/** 3.0, as in the startup packet. */
const protocolVersion = 196_608

/** One connection through the proxy. */
class Link {
  hasLostBytes = false
  readonly #speech: Speech
  readonly #client: Socket
  readonly #server: Socket
  readonly #counts: ProxyCounts
  readonly #onClosed: () => void
  readonly #pipes: Readonly<Record<Direction, Pipe>>
  readonly #said = new BackendMessages()
  #fault: Fault = {}
  #isListener: boolean | undefined
  /** It speaks PostgreSQL's protocol, unencrypted from the beginning: what the server says is cut into messages. */
  #isPostgres = false
  /** The server has answered everything. */
  #isAtRest = false
  /** True while the next response of the server is for us and not for the client. */
  #isOurs = false
  /** And it is about a setting that the session begins with. */
  #isLeak = false
  /** The server has been ready for a query of the client's at some time. */
  #hasBegun = false
  /** A transaction of pending writes is under way. */
  #isSettling = false
  #isOver = false

  constructor({ client, targetPort, counts, speech, onClosed }: LinkParts) {
    this.#client = client
    this.#speech = speech
    this.#counts = counts
    this.#onClosed = onClosed
    this.#server = connect({ host: '127.0.0.1', port: targetPort, allowHalfOpen: true })
    this.#pipes = {
      'to-server': new Pipe(client, this.#server, {
        onChunk: (chunk) => {
          counts.bytesToServer += chunk.length
          this.#recognise(chunk)
          this.#isAtRest = false
          return this.#isCutBefore(chunk) ? nothing : chunk
        },
        onLost: (bytes) => this.#lose(bytes),
        onCut: () => this.reset(),
      }),
      'to-client': new Pipe(this.#server, client, {
        onChunk: (chunk) => {
          counts.bytesToClient += chunk.length
          return this.#isPostgres ? this.#heard(chunk) : chunk
        },
        onLost: (bytes) => this.#lose(bytes),
        onCut: () => this.reset(),
      }),
    }
    // A side that is gone is news for the other one, which travels, or not, as bytes do.
    client.on('close', () => this.#gone('to-server'))
    this.#server.on('error', () => undefined).on('close', () => this.#gone('to-client'))
  }

  /** Port of the connection to the server, at this end. */
  get clientPort(): number | undefined {
    return this.#server.localPort
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
    reset(this.#client)
    reset(this.#server)
    this.#onClosed()
  }

  #apply(): void {
    const concerned = this.isIn(this.#fault.scope ?? 'all')
    this.#pipes['to-server'].flow = (concerned && this.#fault.toServer) || pass
    this.#pipes['to-client'].flow = (concerned && this.#fault.toClient) || pass
  }

  /**
   * Returns the messages that are for the client. Of the responses to us, these are only notifications that were on
   * their way. An incomplete message waits for its end.
   */
  #heard(chunk: Buffer): Buffer {
    const passed: Buffer[] = []
    for (const message of this.#said.take(chunk)) {
      if (this.#isCutAfter(message)) break
      if (!this.#isForClient(message)) continue
      const { translation } = this.#speech
      passed.push(translation ? translated(message, { keepsV: translation === 'V kept' }) : message)
    }
    return Buffer.concat(passed)
  }

  #isForClient(message: Buffer): boolean {
    const isReady = typeOf(message) === 'Z'
    const { leak } = this.#speech
    if (isReady && !this.#hasBegun) {
      this.#hasBegun = true
      if (leak !== undefined) {
        this.#isOurs = true
        this.#isLeak = true
        this.#server.write(queryMessage(leak))
        return false
      }
    }
    if (!this.#isOurs) {
      if (isReady) this.#isAtRest = true
      return true
    }
    if (isReady) this.#isOurs = false
    // The client still waits for the server to be ready for its first query.
    const isAwaited = isReady && this.#isLeak
    if (isAwaited) this.#isLeak = false
    return isAwaited || typeOf(message) === 'A'
  }

  #isCutBefore(chunk: Buffer): boolean {
    if (chunk.includes(settlingBegins)) this.#isSettling = true
    const isCommit = this.#isSettling && chunk.includes(commit)
    return isCommit && this.#isCut('before')
  }

  #isCutAfter(message: Buffer): boolean {
    const isCommitted = this.#isSettling && commandOf(message) === 'COMMIT'
    if (!isCommitted) return false
    const isCut = this.#isCut('after')
    this.#isSettling = false
    return isCut
  }

  #isCut(when: CommitCut): boolean {
    const isDue = this.#speech.commitCut === when && this.#speech.commitsToCut > 0
    if (!isDue || this.#isOver) return false
    this.#speech.commitsToCut--
    this.#counts.commitsCut++
    this.reset()
    return true
  }

  /** The startup packet names the application; until it has come the connection may be any. */
  #recognise(chunk: Buffer): void {
    if (this.#isListener !== undefined) return
    this.#isListener = chunk.includes('caching-layer changes')
    this.#isPostgres = chunk.length >= 8 && chunk.readUInt32BE(4) === protocolVersion
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
