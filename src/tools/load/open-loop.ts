import type { HttpConnection } from './http-connection.js'
import { Latencies, type LatencySummary } from './latencies.js'
import { PreciseTimer } from './precise-timer.js'

export interface OpenLoopOptions<Request> {
  readonly connections: readonly HttpConnection[]
  /** Number of requests per second. */
  readonly rate: number
  readonly durationMs: number
  readonly next: () => Request
  readonly onAnswer: (request: Request, status: number, dueMs: number) => void
  /** Ends the run early when aborted. */
  readonly stop: AbortSignal
  /** Time after the end in which overdue requests are still sent, and answers are awaited. */
  readonly graceMs?: number
}

export interface OpenLoopResult {
  /** Start of the run, by `performance.now()`. */
  readonly startMs: number
  readonly seconds: number
  /** Number of requests that were due. */
  readonly due: number
  readonly sent: number
  readonly answered: number
  /** Delays of requests that were sent late although a connection was idle. This part of a latency is our own. */
  readonly lateness: LatencySummary
  /** Reason why the run ended early, unless it was stopped. */
  readonly lost: Error | undefined
}

/** Connection with the request in flight on it. */
interface Lane<Request> {
  readonly connection: HttpConnection
  request: Request | undefined
  dueMs: number
}

const defaultGraceMs = 5_000
/** Time to wait for answers after a stop. */
const stopGraceMs = 1_000
/**
 * Time before the next request from which the event loop spins, because even the precise timer can be late by as much.
 * Measured at 1,000 requests per second: half of them are sent within 10 µs of their time, with 15 % of a core.
 * Spinning all the time takes a whole core; that happens if requests are due at shorter intervals than this.
 */
const spinMs = 0.1

/**
 * Sends requests at a constant rate. Each request is due at its own time, whatever happens to earlier ones, and its
 * latency counts from that time. So a server that stalls is charged for every request that would have come meanwhile. A
 * closed loop would wait together with the server, and see only one slow request ("coordinated omission").
 */
export class OpenLoop<Request extends { readonly bytes: Buffer }> {
  readonly #options: OpenLoopOptions<Request>
  readonly #total: number
  readonly #lateness = new Latencies()
  readonly #idle: Lane<Request>[]
  #timer: PreciseTimer | undefined
  #startMs = 0
  #sent = 0
  #answered = 0
  /** Moment since which there has been an idle connection. */
  #idleSinceMs = 0
  /** True if another turn is scheduled, so that sending does not depend on the next answer. */
  #isTurnToCome = false
  /** Moment at which sending was stopped. */
  #stoppedMs: number | undefined
  #end: (lost?: Error) => void = () => undefined

  constructor(options: OpenLoopOptions<Request>) {
    this.#options = options
    this.#total = Math.floor((options.rate * options.durationMs) / 1_000)
    this.#idle = options.connections.map((connection) => this.#lane(connection))
  }

  /** Runs the load. Must be called only once. */
  async run(): Promise<OpenLoopResult> {
    const { rate, durationMs, stop, graceMs = defaultGraceMs } = this.#options
    const timer = await PreciseTimer.start(this.#turn)
    this.#timer = timer
    const onStop = () => this.#stop()
    this.#startMs = performance.now()
    const deadline = setTimeout(() => this.#end(), durationMs + graceMs)
    const lost = await new Promise<Error | undefined>((resolve) => {
      this.#end = resolve
      stop.addEventListener('abort', onStop)
      if (stop.aborted) this.#stop()
      else this.#turn()
    })
    const endMs = performance.now()
    clearTimeout(deadline)
    stop.removeEventListener('abort', onStop)
    this.#stoppedMs ??= endMs
    await timer.close()
    const due = Math.min(this.#total, Math.floor(((this.#stoppedMs - this.#startMs) * rate) / 1_000) + 1)
    return {
      startMs: this.#startMs,
      // The last request is due one interval before the end.
      seconds: Math.max((endMs - this.#startMs) / 1_000, due / rate),
      due,
      sent: this.#sent,
      answered: this.#answered,
      lateness: this.#lateness.summary(),
      lost,
    }
  }

  #lane(connection: HttpConnection): Lane<Request> {
    const lane: Lane<Request> = { connection, request: undefined, dueMs: 0 }
    connection.onLost = (error) => this.#end(error)
    connection.onAnswer = (status) => {
      this.#answered++
      this.#options.onAnswer(lane.request as Request, status, lane.dueMs)
      if (this.#idle.length === 0) this.#idleSinceMs = performance.now()
      this.#idle.push(lane)
      if (!this.#isTurnToCome) this.#turn()
    }
    return lane
  }

  #stop(): void {
    this.#stoppedMs = performance.now()
    setTimeout(this.#end, stopGraceMs).unref()
    this.#endIfDone()
  }

  #endIfDone(): void {
    const isSending = this.#stoppedMs === undefined && this.#sent < this.#total
    if (!isSending && this.#sent === this.#answered) this.#end()
  }

  /** Sends the requests that are due, and schedules another turn for the next one. */
  readonly #turn = (): void => {
    this.#isTurnToCome = false
    if (this.#stoppedMs !== undefined || this.#sent === this.#total) {
      this.#endIfDone()
      return
    }
    const nextMs = this.#sendWhatIsDue() - performance.now()
    // Without an idle connection, the next answer causes the next turn.
    if (this.#idle.length === 0 || this.#sent === this.#total) return
    this.#isTurnToCome = true
    if (nextMs <= spinMs) setImmediate(this.#turn)
    else this.#timer?.ringIn(nextMs - spinMs)
  }

  /** Sends requests that are due. Returns the time at which the next one is due. */
  #sendWhatIsDue(): number {
    const { rate, next } = this.#options
    for (;;) {
      const nowMs = performance.now()
      const dueMs = this.#startMs + (this.#sent * 1_000) / rate
      const lane = dueMs > nowMs || this.#sent === this.#total ? undefined : this.#idle.pop()
      if (lane === undefined) return dueMs
      if (dueMs >= this.#idleSinceMs) this.#lateness.add(nowMs - dueMs)
      this.#sent++
      lane.dueMs = dueMs
      lane.request = next()
      lane.connection.send(lane.request.bytes)
    }
  }
}
