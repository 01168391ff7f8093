import { Agent } from 'node:http'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { JsonClient } from '../test/support/json-client.js'
import type { Bench } from './bench.js'
import { ask } from './child.js'
import type { Cores } from './cores.js'
import { profilerOf } from './profile.js'
import { startProgram } from './program.js'

const program = fileURLToPath(new URL('../dist/main.js', import.meta.url))

export interface SidecarOptions {
  readonly databaseUrl: string
  readonly environment?: Readonly<Record<string, string>>
  /** A module of inside/ that is loaded first and watches from within. */
  readonly inside?: string
  /** The server's core, unless it is there to serve another one. */
  readonly on?: keyof Cores
}

/** A sidecar as its users start it. */
export interface BenchSidecar {
  readonly port: number
  readonly url: string
  readonly pids: readonly [number]
  readonly client: JsonClient
  /** Client of its operations listener. */
  readonly ops: JsonClient
  /** Registers a listener for the messages of `inside`. */
  onMessage(heard: (message: unknown) => void): void
  /** Asks `inside`. */
  ask<T>(question: string): Promise<T>
  end(): Promise<void>
}

/** Resolves when its change feed is live. */
export async function startSidecar(
  bench: Pick<Bench, 'teardown' | 'profileFolder'>,
  { databaseUrl, environment = {}, inside, on = 'server' }: SidecarOptions,
): Promise<BenchSidecar> {
  const preload = inside ? ['--import', new URL(`inside/${inside}`, import.meta.url).href] : []
  const profiler = profilerOf(bench.profileFolder, 'sidecar')
  const { child, end } = startProgram(bench, [process.execPath, ...profiler, ...preload, program, 'serve'], {
    on,
    ipc: inside !== undefined,
    environment: {
      DATABASE_URL: databaseUrl,
      PORT: '0',
      OPS_PORT: '0',
      CACHE_TTL_SECONDS: '3600',
      ...environment,
    },
  })
  let isLive = false
  let last = ''
  let opsPort = 0
  const port = await new Promise<number>((resolve, reject) => {
    let servingOn: number | undefined
    child.once('close', () => reject(new Error(`the sidecar ended: ${last}`)))
    createInterface({ input: child.stderr as NonNullable<typeof child.stderr> }).on('line', (line) => {
      last = line
      if (!line.startsWith('{')) return
      const { msg, port } = JSON.parse(line) as { msg?: string; port?: number }
      if (msg === 'answering probes') opsPort = port as number
      if (msg === 'serving') servingOn = port
      if (msg === 'change feed live') isLive = true
      if (isLive && servingOn !== undefined) resolve(servingOn)
    })
  })
  child.stdout?.resume()
  const url = `http://127.0.0.1:${port}`
  return {
    port,
    url,
    pids: [child.pid as number],
    // Keeps connections open like an app: a new one for each request would cost the sidecar more than the request.
    client: new JsonClient(url, new Agent({ keepAlive: true })),
    ops: new JsonClient(`http://127.0.0.1:${opsPort}`),
    onMessage: (heard) => child.on('message', heard),
    ask: (question) => ask(child, question),
    end,
  }
}
