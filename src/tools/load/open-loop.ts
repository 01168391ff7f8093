import type { HttpConnection } from './http-connection.js'
import { Latencies, type LatencySummary } from './latencies.js'
import { PreciseTimer } from './precise-timer.js'

export interface OpenLoopOptions<Request> {
  readonly connections: readonly HttpConnection[]
  /** Requests per second. */
  readonly rate: number
  readonly durationMs: number
  readonly next: () => Request
  readonly onAnswer: (request: Request, status: number, dueMs: number) => void
  /** Ends it before its time. */
  readonly stop: AbortSignal
  /** How long it goes on, when it has fallen behind, with what is due, and waits for answers. */
  readonly graceMs?: number
}

export interface OpenLoopResult {
  /** By `performance.now()`. */
  readonly startMs: number
  readonly seconds: number
  /** Requests that were due, those of them that were sent, and those that were answered. */
  readonly due: number
  readonly sent: number
  readonly answered: number
  /** How late they were sent although a connection was idle: that much of a latency is our own. */
  readonly lateness: LatencySummary
  /** Why it ended before its time, unless it was stopped. */
  readonly lost: Error | undefined
}

/** A connection with the request that is under way on it. */
interface Lane<Request> {
  readonly connection: HttpConnection
  request: Request | undefined
  dueMs: number
}

const defaultGraceMs = 5_000
/** How long it waits for answers when it is stopped. */
const stopGraceMs = 1_000
/**
 * The last part of the time to the next request is spent turning, since even the alarm is that late. Measured at 1,000
 * requests per second: half of them sent within 10 µs of their time, with 15 % of a core; turning all the time takes all of it.
 * Where requests are due closer together than this, it does.
 */
const turningMs = 0.1

/**
 * Requests at a rate, each due at its time, whatever became of those before it. Its latency counts from then, so that a
 * server that stalls is charged for every request that would have come meanwhile: a closed loop, which waits with it,
 * sees one slow request ("coordinated omission").
 */
export class OpenLoop<Request extends { readonly bytes: Buffer }> {
  readonly #options: OpenLoopOptions<Request>
  readonly #total: number
  readonly #lateness = new Latencies()
  readonly #idle: Lane<Request>[]
  #alarm: PreciseTimer | undefined
  #startMs = 0
  #sent = 0
  #answered = 0
  /** Since when there has been an idle connection. */
  #idleSinceMs = 0
  /** Whether a turn comes by itself, and not only with the next answer. */
  #isTurnToCome = false
  /** When it was stopped. */
  #stoppedMs: number | undefined
  #end: (lost?: Error) => void = () => undefined

  constructor(options: OpenLoopOptions<Request>) {
    this.#options = options
    this.#total = Math.floor((options.rate * options.durationMs) / 1_000)
    this.#idle = options.connections.map((connection) => this.#lane(connection))
  }

  /** Once. */
  async run(): Promise<OpenLoopResult> {
    const { rate, durationMs, stop, graceMs = defaultGraceMs } = this.#options
    const alarm = await PreciseTimer.start(this.#turn)
    this.#alarm = alarm
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
    await alarm.close()
    const due = Math.min(this.#total, Math.floor(((this.#stoppedMs - this.#startMs) * rate) / 1_000) + 1)
    return {
      startMs: this.#startMs,
      // The last request is due one interval before the time is over.
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

  /** Sends what is due, and sees to it that there is another turn when something will be. */
  readonly #turn = (): void => {
    this.#isTurnToCome = false
    if (this.#stoppedMs !== undefined || this.#sent === this.#total) {
      this.#endIfDone()
      return
    }
    const nextMs = this.#sendWhatIsDue() - performance.now()
    // Without an idle connection the next answer goes on.
    if (this.#idle.length === 0 || this.#sent === this.#total) return
    this.#isTurnToCome = true
    if (nextMs <= turningMs) setImmediate(this.#turn)
    else this.#alarm?.ringIn(nextMs - turningMs)
  }

  /** Answers with when the next one is due. */
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
