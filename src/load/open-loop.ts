import { HttpConnection } from './http-connection.js'
import { Latencies, type LatencySummary } from './latencies.js'
import type { Operation } from './mix.js'

export interface LoadRequest {
  readonly operation: Operation
  readonly bytes: Buffer
}

export interface OpenLoopOptions {
  readonly host: string
  readonly port: number
  readonly connections: number
  /** Requests per second. */
  readonly rate: number
  readonly durationMs: number
  readonly next: () => LoadRequest
  readonly stop: AbortSignal
}

export interface LoadResult {
  readonly seconds: number
  /** Requests that were due, and those that were answered. */
  readonly due: number
  readonly answered: number
  readonly ratePerSecond: number
  /** By status code. */
  readonly statuses: Readonly<Record<string, number>>
  readonly latencies: Readonly<Partial<Record<Operation, LatencySummary>>>
}

/** How long a loop that has fallen behind goes on with what is due. */
const graceMs = 5_000
/**
 * Above this rate the clock is looked at in every turn of the event loop, which takes the whole core; timers are too
 * coarse for that. Up to it they leave the core to others, and add up to 1 ms.
 */
const mostByTimer = 1_000

/**
 * Requests at a rate, each due at its time, whatever became of those before it. Its latency counts from then, so that a
 * server that stalls is charged for every request that would have come meanwhile: a closed loop, which waits with it,
 * sees one slow request ("coordinated omission").
 */
export class OpenLoop {
  readonly #options: OpenLoopOptions
  readonly #latencies = new Map<Operation, Latencies>()
  readonly #statuses = new Map<number, number>()
  #sent = 0
  #answered = 0

  constructor(options: OpenLoopOptions) {
    this.#options = options
  }

  /** So far, for a line that says how it goes. */
  get answered(): number {
    return this.#answered
  }

  /** Rejects where a connection cannot be had, or is lost. */
  async run(): Promise<LoadResult> {
    const { host, port, connections, rate, durationMs } = this.#options
    let onLost: (error: Error) => void = () => undefined
    const lost = new Promise<never>((_resolve, reject) => {
      onLost = reject
    })
    lost.catch(() => undefined)
    const all = await Promise.all(
      Array.from({ length: connections }, () => HttpConnection.open(port, host, onLost)),
    )
    try {
      const startMs = performance.now()
      await Promise.race([this.#send(all, startMs), lost])
      const seconds = (performance.now() - startMs) / 1_000
      return {
        seconds,
        due: Math.floor((rate * Math.min(durationMs, seconds * 1_000)) / 1_000),
        answered: this.#answered,
        ratePerSecond: this.#answered / seconds,
        statuses: Object.fromEntries(this.#statuses),
        latencies: Object.fromEntries(
          [...this.#latencies].map(([operation, one]) => [operation, one.summary()]),
        ),
      }
    } finally {
      for (const connection of all) connection.close()
    }
  }

  #send(all: readonly HttpConnection[], startMs: number): Promise<void> {
    const { rate, durationMs, next, stop } = this.#options
    const total = Math.floor((rate * durationMs) / 1_000)
    const idle = [...all]
    return new Promise((resolve) => {
      const endIfDone = () => {
        if (idle.length === all.length) resolve()
      }
      let isOver = false
      for (const connection of all) {
        connection.onAnswer = (status) => {
          idle.push(connection)
          this.#count(status)
          if (isOver) endIfDone()
        }
      }
      const turn = () => {
        const nowMs = performance.now()
        for (;;) {
          const dueMs = startMs + (this.#sent * 1_000) / rate
          if (this.#sent >= total || dueMs > nowMs) break
          const connection = idle.pop()
          if (connection === undefined) break
          this.#sent++
          this.#sendOne(connection, dueMs, next())
        }
        const isLate = nowMs > startMs + durationMs + graceMs
        if (this.#sent < total && !isLate && !stop.aborted) again(turn)
        else {
          isOver = true
          endIfDone()
        }
      }
      const again = rate > mostByTimer ? setImmediate : (task: () => void) => setTimeout(task, 1)
      turn()
    })
  }

  #sendOne(connection: HttpConnection, dueMs: number, { operation, bytes }: LoadRequest): void {
    const answered = connection.onAnswer
    connection.onAnswer = (status) => {
      connection.onAnswer = answered
      let latencies = this.#latencies.get(operation)
      if (latencies === undefined) {
        latencies = new Latencies()
        this.#latencies.set(operation, latencies)
      }
      latencies.add(performance.now() - dueMs)
      answered(status)
    }
    connection.send(bytes)
  }

  #count(status: number): void {
    this.#answered++
    this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + 1)
  }
}
