import { HttpConnection } from '../../src/load/http-connection.js'
import { monotonicMs } from '../monotonic.js'
import { quantile } from '../statistics.js'
import { requestsOf, type Work } from './work.js'

/**
 * The repository's own load: a program, so that it has a core to itself. Its one argument says what; JSON comes out,
 * at the end or, where that is sooner, after a SIGTERM.
 */

export interface ClientOptions {
  /** Connections are spread over them. */
  readonly ports: readonly number[]
  readonly connections: number
  readonly seconds: number
  readonly work: Work
  /**
   * Requests per second, each due at its time whatever became of those before (an open loop); without it, the next
   * one follows the answer (a closed loop).
   */
  readonly rate?: number
  /** Answers other than 200 are nothing unusual here. */
  readonly mayFail?: boolean
  /** Nothing is left out as a warm-up. */
  readonly countFromStart?: boolean
}

export interface ClientResult {
  /** Answered, in all and in the time that counts. */
  readonly answered: number
  readonly requests: number
  readonly seconds: number
  readonly failed: number
  /** From the moment a request was due, or was sent where none is. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** When the first request was due, by the machine's monotonic clock. */
  readonly startMs: number
}

/** What is due in the first part of the time is not counted. */
const warmUpShare = 0.1
/**
 * Above this rate the clock is looked at in every turn of the event loop, which takes the whole core; timers are too
 * coarse for that. Up to it they leave the core to others, and add up to 1 ms.
 */
const mostByTimer = 1_000
/** How long an open loop that has fallen behind goes on sending. */
const graceMs = 5_000

let stopped = false
process.once('SIGTERM', () => {
  stopped = true
})

async function run({
  ports,
  connections,
  seconds,
  work,
  rate,
  countFromStart,
}: ClientOptions): Promise<ClientResult> {
  const next = requestsOf(work)
  const latencies: number[] = []
  let answered = 0
  let failed = 0
  const all = await Promise.all(
    Array.from({ length: connections }, (_, index) =>
      HttpConnection.open(ports[index % ports.length] as number),
    ),
  )
  const startMs = monotonicMs()
  const countedFromMs = startMs + (countFromStart ? 0 : seconds * warmUpShare * 1_000)
  const endMs = startMs + seconds * 1_000
  await new Promise<void>((resolve) => {
    const idle: HttpConnection[] = []
    let underWay = 0
    let isOver = false
    const end = () => {
      isOver = true
      if (underWay === 0) resolve()
    }
    const send = (connection: HttpConnection, dueMs: number) => {
      underWay++
      connection.dueMs = dueMs
      connection.send(next())
    }
    for (const connection of all) {
      connection.onAnswer = (status) => {
        const nowMs = monotonicMs()
        underWay--
        answered++
        if (connection.dueMs >= countedFromMs) latencies.push(nowMs - connection.dueMs)
        if (status !== 200) failed++
        if (rate !== undefined) idle.push(connection)
        else if (nowMs < endMs && !stopped) send(connection, nowMs)
        else isOver = true
        if (isOver) end()
      }
    }
    if (rate === undefined) {
      for (const connection of all) send(connection, monotonicMs())
      return
    }
    idle.push(...all)
    const total = Math.floor(rate * seconds)
    let sent = 0
    const again = rate > mostByTimer ? setImmediate : (task: () => void) => setTimeout(task, 1)
    const turn = () => {
      const nowMs = monotonicMs()
      for (;;) {
        const dueMs = startMs + (sent * 1_000) / rate
        if (sent >= total || dueMs > nowMs) break
        const connection = idle.pop()
        if (connection === undefined) break
        sent++
        send(connection, dueMs)
      }
      if (sent < total && nowMs < endMs + graceMs && !stopped) again(turn)
      else end()
    }
    turn()
  })
  const tookSeconds = (monotonicMs() - countedFromMs) / 1_000
  for (const connection of all) connection.close()
  latencies.sort((one, other) => one - other)
  return {
    answered,
    requests: latencies.length,
    seconds: tookSeconds,
    failed,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    maxMs: quantile(latencies, 1),
    startMs,
  }
}

process.stdout.write(`${JSON.stringify(await run(JSON.parse(process.argv[2] as string) as ClientOptions))}\n`)
