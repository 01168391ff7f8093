import { fileURLToPath } from 'node:url'
import { installed } from '../installed.js'
import { runProgram } from '../program.js'
import type { ClientOptions, ClientResult } from './client.js'
import type { Work } from './work.js'

export interface LoadOptions {
  readonly port: number
  readonly connections: number
  readonly seconds: number
  readonly work: Exclude<Work, { kind: 'set-new' | 'zipf' }>
  /** Answers other than 200 are nothing unusual here. */
  readonly mayFail?: boolean
}

export interface Load {
  readonly requests: number
  /** Requests per second. */
  readonly rate: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const wrk = installed('wrk')
const script = fileURLToPath(new URL('wrk.lua', import.meta.url))
const client = fileURLToPath(new URL('client.ts', import.meta.url))
const tsx = import.meta.resolve('tsx')

/** Name of the load generator. */
export const generator = wrk ? 'wrk' : "the bench's own client"

/**
 * Sends as many requests as the connections can carry; each connection waits for its response. Rejects if one fails.
 */
export async function load(options: LoadOptions): Promise<Load> {
  return wrk ? loadByWrk(wrk, options) : loadByClient(options)
}

async function loadByWrk(
  program: string,
  { port, connections, seconds, work, mayFail = false }: LoadOptions,
): Promise<Load> {
  const args = [
    `-t1`,
    `-c${connections}`,
    `-d${Math.max(1, Math.round(seconds))}s`,
    '--timeout',
    '10s',
    '-s',
    script,
  ]
  const { stdout } = await runProgram(
    [program, ...args, `http://127.0.0.1:${port}/`, '--', ...argumentsOf(work)],
    { on: 'load', timeoutMs: seconds * 1_000 + 30_000 },
  )
  const json = /^wrk: (.*)$/m.exec(stdout)?.[1]
  if (json === undefined) throw new Error(`wrk said nothing: ${stdout}`)
  const { requests, micros, failed, p50Micros, p99Micros } = JSON.parse(json) as Record<string, number>
  if ((failed !== 0 && !mayFail) || !requests) throw new Error(`${failed} of ${requests} requests failed`)
  const rate = requests / ((micros as number) / 1e6)
  return { requests, rate, p50Ms: (p50Micros as number) / 1e3, p99Ms: (p99Micros as number) / 1e3 }
}

function argumentsOf(work: LoadOptions['work']): string[] {
  switch (work.kind) {
    case 'hit':
      return ['hit', work.path]
    case 'random':
      return ['random', String(work.keys)]
    case 'walk':
      return ['walk', String(work.keys), String(work.from)]
    case 'bulk-walk':
      return ['bulk-walk', String(work.keys), String(work.from), String(work.perRequest)]
    case 'bulk':
      return ['bulk', String(work.keys)]
    case 'set':
      return ['set', String(work.keys), String(work.valueBytes)]
  }
}

async function loadByClient({ port, ...options }: LoadOptions): Promise<Load> {
  const { answered, requests, seconds, p50Ms, p99Ms } = await runClient({ ports: [port], ...options })
  return { requests: answered, rate: requests / seconds, p50Ms, p99Ms }
}

/** The client of the repository; with a rate, an open loop. Rejects where a request fails. */
export function runClient(options: ClientOptions): Promise<ClientResult> {
  return startClient(options).result
}

/** The same, to be ended when enough has been seen. */
export function startClient(options: ClientOptions): {
  readonly result: Promise<ClientResult>
  stop(): void
} {
  const stopping = new AbortController()
  const result = runProgram([process.execPath, '--import', tsx, client, JSON.stringify(options)], {
    on: 'load',
    timeoutMs: options.seconds * 1_000 + 60_000,
    stop: stopping.signal,
  }).then(({ stdout }) => {
    const result = JSON.parse(stdout) as ClientResult
    if ((result.failed > 0 && !options.mayFail) || result.requests === 0)
      throw new Error(`${result.failed} requests failed, ${result.requests} were answered`)
    return result
  })
  result.catch(() => undefined)
  return { result, stop: () => stopping.abort() }
}
