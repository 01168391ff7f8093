import { closedLoop } from '../../src/tools/load/closed-loop.js'
import { HttpConnection } from '../../src/tools/load/http-connection.js'
import { OpenLoop } from '../../src/tools/load/open-loop.js'
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
  /** Latency from the moment a request was due, or was sent if none is due. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Moment at which the first request was due, by the machine's monotonic clock. */
  readonly startMs: number
}

/** Share of the time at the beginning in which requests are not counted. */
const warmUpShare = 0.1

const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())

async function run(options: ClientOptions): Promise<ClientResult> {
  const { ports, connections, seconds, work, rate, countFromStart } = options
  const all = await HttpConnection.openAll(
    Array.from({ length: connections }, (_, index) => ({ port: ports[index % ports.length] as number })),
  )
  const next = requestsOf(work)
  const sinceMs: number[] = []
  const latenciesMs: number[] = []
  let failed = 0
  const onAnswer = (status: number, fromMs: number) => {
    sinceMs.push(fromMs)
    latenciesMs.push(performance.now() - fromMs)
    if (status !== 200) failed++
  }
  let startMs = performance.now()
  if (rate === undefined) {
    const endMs = startMs + seconds * 1_000
    const isOver = () => stop.signal.aborted || performance.now() >= endMs
    await closedLoop({ connections: all, next: () => (isOver() ? undefined : next()), onAnswer })
  } else {
    const loop = new OpenLoop({
      connections: all,
      rate,
      durationMs: seconds * 1_000,
      next: () => ({ bytes: next() }),
      onAnswer: (_request, status, dueMs) => onAnswer(status, dueMs),
      stop: stop.signal,
    })
    const { lost, startMs: loopStartMs, sent, answered } = await loop.run()
    if (lost !== undefined) throw lost
    if (sent > answered && !stop.signal.aborted)
      throw new Error(`${sent - answered} requests were not answered`)
    startMs = loopStartMs
  }
  const endMs = performance.now()
  for (const connection of all) connection.close()
  const countedFromMs = startMs + (countFromStart ? 0 : seconds * warmUpShare * 1_000)
  const counted = latenciesMs
    .filter((_, index) => (sinceMs[index] as number) >= countedFromMs)
    .sort((one, other) => one - other)
  return {
    answered: latenciesMs.length,
    requests: counted.length,
    seconds: (endMs - countedFromMs) / 1_000,
    failed,
    p50Ms: quantile(counted, 0.5),
    p99Ms: quantile(counted, 0.99),
    maxMs: quantile(counted, 1),
    startMs: monotonicMs() - (performance.now() - startMs),
  }
}

process.stdout.write(`${JSON.stringify(await run(JSON.parse(process.argv[2] as string) as ClientOptions))}\n`)
