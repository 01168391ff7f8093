import { quantile } from '../statistics.js'
import { Connection } from './connection.js'
import { requestsOf, type Work } from './work.js'

/** The repository's own load: a program, so that it has a core to itself. Its one argument says what; JSON comes out. */

export interface ClientOptions {
  readonly port: number
  readonly connections: number
  readonly seconds: number
  readonly work: Work
  /**
   * Requests per second, each due at its time whatever became of those before (an open loop); without it, the next
   * one follows the answer (a closed loop).
   */
  readonly rate?: number
}

export interface ClientResult {
  readonly requests: number
  readonly seconds: number
  readonly failed: number
  /** From the moment a request was due, or was sent where none is. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** What is answered in the first part of the time is not counted. */
const warmUpShare = 0.1

async function run({ port, connections, seconds, work, rate }: ClientOptions): Promise<ClientResult> {
  const next = requestsOf(work)
  const latencies: number[] = []
  let failed = 0
  const all = await Promise.all(Array.from({ length: connections }, () => Connection.open(port)))
  const startMs = performance.now()
  const countedFromMs = startMs + seconds * warmUpShare * 1_000
  const endMs = startMs + seconds * 1_000
  let underWay = 0
  await new Promise<void>((resolve) => {
    const idle: Connection[] = []
    const due = new Map<Connection, number>()
    const finish = () => {
      if (underWay === 0) resolve()
    }
    const send = (connection: Connection, dueMs: number) => {
      underWay++
      due.set(connection, dueMs)
      connection.send(next())
    }
    for (const connection of all) {
      connection.onAnswer = (status) => {
        const nowMs = performance.now()
        const dueMs = due.get(connection) as number
        underWay--
        if (dueMs >= countedFromMs) latencies.push(nowMs - dueMs)
        if (status !== 200) failed++
        if (rate !== undefined) idle.push(connection)
        else if (nowMs < endMs) send(connection, nowMs)
        else finish()
      }
    }
    if (rate === undefined) {
      for (const connection of all) send(connection, performance.now())
      return
    }
    idle.push(...all)
    const total = Math.floor(rate * seconds)
    let sent = 0
    // Looks at the clock in every turn of the event loop: timers are too coarse.
    const turn = () => {
      const nowMs = performance.now()
      while (sent < total && startMs + (sent * 1_000) / rate <= nowMs) {
        const connection = idle.shift()
        if (connection === undefined) break
        send(connection, startMs + (sent++ * 1_000) / rate)
      }
      if (sent < total && nowMs < endMs + 5_000) setImmediate(turn)
      else if (underWay === 0) resolve()
      else setImmediate(turn)
    }
    turn()
  })
  for (const connection of all) connection.close()
  latencies.sort((one, other) => one - other)
  const tookSeconds = Math.max(performance.now() - countedFromMs, 1) / 1_000
  return {
    requests: latencies.length,
    seconds: tookSeconds,
    failed,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    maxMs: quantile(latencies, 1),
  }
}

process.stdout.write(`${JSON.stringify(await run(JSON.parse(process.argv[2] as string) as ClientOptions))}\n`)
