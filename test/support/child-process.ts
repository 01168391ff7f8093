import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Owner } from './database.js'
import { eventually } from './eventually.js'
import { JsonClient } from './json-client.js'

const recordingMs = 10_000

/** Returns the variables that the processes of tests get, too. The last one is for `npm run test:sample`. */
export function inheritedVariables(): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR, SystemRoot, NODE_V8_COVERAGE } = process.env
  return { PATH, HOME, TMPDIR, SystemRoot, NODE_V8_COVERAGE }
}

const project = fileURLToPath(new URL('../../', import.meta.url))

export interface CliOptions {
  readonly cwd?: string
  readonly stdin?: 'ignore' | 'pipe'
  /** The folder of another release. */
  readonly release?: string
  /** Host of its listeners, as in a URL. */
  readonly host?: string
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** The `caching-layer` command as a process, as users start it. It is killed at the end of its test. */
export class CliProcess {
  readonly child: ChildProcess
  /** Resolves when the process has ended and all that it said has been read. */
  readonly exited: Promise<Exit>
  stdout = ''
  stderr = ''

  constructor(
    t: Owner,
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
    { stdin = 'ignore', release = project, ...options }: CliOptions = {},
  ) {
    this.child = spawn(process.execPath, [join(release, 'dist/main.js'), ...args], {
      env: { ...inheritedVariables(), ...environment },
      stdio: [stdin, 'pipe', 'pipe'],
      ...options,
    })
    this.child.stdout?.setEncoding('utf8').on('data', (text) => {
      this.stdout += text
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.stderr += text
    })
    this.exited = new Promise((resolve, reject) => {
      this.child.once('error', reject).once('close', (code, signal) => resolve({ code, signal }))
    })
    t.teardown(() => this.#end())
  }

  /** Kills the process. One that records what it runs gets time to write that down. */
  async #end(): Promise<void> {
    if (process.env.NODE_V8_COVERAGE === undefined) this.child.kill('SIGKILL')
    else this.child.kill('SIGTERM')
    const late = setTimeout(() => this.child.kill('SIGKILL'), recordingMs)
    await this.exited
    clearTimeout(late)
  }

  get hasExited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** Lines of its log, parsed. */
  get log(): readonly Readonly<Record<string, unknown>>[] {
    return this.stderr
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }
}

export interface Served extends CliProcess {
  readonly client: JsonClient
  /** Client of its operations listener. */
  readonly ops: JsonClient
}

/** Starts `serve` on free ports. Resolves when the process reports that it serves. */
export async function serve(
  t: Owner,
  environment: Readonly<Record<string, string>>,
  args: readonly string[] = [],
  options: CliOptions = {},
): Promise<Served> {
  const started = new CliProcess(t, ['serve', ...args], { PORT: '0', OPS_PORT: '0', ...environment }, options)
  const client = await clientOf(started, 'serving', options.host)
  return Object.assign(started, { client, ops: await clientOf(started, 'answering probes', options.host) })
}

/** A client of the listener that it reports with these words, as soon as it does. */
export async function clientOf(started: CliProcess, words: string, host = '127.0.0.1'): Promise<JsonClient> {
  const port = await eventually(() => {
    if (started.hasExited) return 'none'
    return started.log.find(({ msg }) => msg === words)?.port
  })
  if (typeof port !== 'number') throw new Error(`serve ended: ${started.stderr}`)
  return new JsonClient(`http://${host}:${port}`)
}

/** Resolves when the sidecar's change feed is live. */
export function untilLive({ client }: { readonly client: JsonClient }): Promise<unknown> {
  return eventually(async () => (await client.stats()).feed.state === 'live', { withinMs: 60_000 })
}
