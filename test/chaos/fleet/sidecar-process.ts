import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface SidecarProcessOptions {
  readonly name: string
  /** The built `caching-layer` command. */
  readonly program: string
  /** Flags of its command. */
  readonly flags?: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** It has ended, and not because it was told to. */
  readonly onUnexpectedEnd: (why: string) => void
}

const startTimeoutMs = 30_000
const stopTimeoutMs = 20_000
const rememberedLines = 30

/** One sidecar as it runs in production, a process of its own that can be frozen, killed and started again. */
export class SidecarProcess {
  readonly #options: SidecarProcessOptions
  readonly #frozen: { fromMs: number; toMs: number }[] = []
  readonly #log: string[] = []
  #child: ChildProcess | undefined
  #exited: Promise<void> = Promise.resolve()
  #incarnation = 0
  #port: number | undefined

  constructor(options: SidecarProcessOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.name
  }

  /** Its name and how often it has been started: what it has in memory belongs to that. */
  get via(): string {
    return `${this.name}.${this.#incarnation}`
  }

  /** Undefined while it does not serve. */
  get port(): number | undefined {
    return this.#port
  }

  /** Last lines of its log. */
  get log(): readonly string[] {
    return this.#log
  }

  /** Resolves when it serves. */
  async start(): Promise<void> {
    const { program, flags = [], environment, onUnexpectedEnd } = this.#options
    const { PATH, HOME, TMPDIR, SystemRoot } = process.env
    this.#incarnation++
    const child = spawn(process.execPath, [program, 'serve', ...flags], {
      env: { PATH, HOME, TMPDIR, SystemRoot, HOST: '127.0.0.1', PORT: '0', OPS_PORT: '0', ...environment },
      stdio: ['ignore', 'ignore', 'pipe'],
      // A process group of its own: a Ctrl-C in the terminal is for us, and we end it in our time.
      detached: true,
    })
    this.#child = child
    this.#exited = new Promise((resolve) =>
      child.once('close', () => resolve()).once('error', () => resolve()),
    )
    const serving = new Promise<number>((resolve) => {
      createInterface({ input: child.stderr as NonNullable<typeof child.stderr> }).on('line', (line) => {
        this.#log.push(line)
        if (this.#log.length > rememberedLines) this.#log.shift()
        const port = portIn(line)
        if (port !== undefined) resolve(port)
      })
    })
    void this.#exited.then(() => {
      if (this.#child !== child) return
      this.#child = undefined
      this.#port = undefined
      onUnexpectedEnd(
        `${this.via} ended by itself (${child.signalCode ?? child.exitCode}): ${this.#log.at(-1)}`,
      )
    })
    let late: NodeJS.Timeout | undefined
    const port = await Promise.race([
      serving,
      this.#exited.then(() => undefined),
      new Promise<undefined>((resolve) => {
        late = setTimeout(() => resolve(undefined), startTimeoutMs)
      }),
    ])
    clearTimeout(late)
    // Killed meanwhile.
    if (this.#child !== child) return
    if (port === undefined) throw new Error(`${this.via} does not serve: ${this.#log.at(-1)}`)
    this.#port = port
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#ended(stopTimeoutMs)
  }

  /** SIGTERM, as at any deployment; kill -9 if it takes too long. False then. */
  async stop(): Promise<boolean> {
    const child = this.#child
    this.thaw()
    child?.kill('SIGTERM')
    if (await this.#ended(stopTimeoutMs)) return true
    child?.kill('SIGKILL')
    return false
  }

  freeze(): void {
    if (this.#child?.kill('SIGSTOP'))
      this.#frozen.push({ fromMs: performance.now(), toMs: Number.POSITIVE_INFINITY })
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
    for (const spell of this.#frozen) {
      if (spell.toMs === Number.POSITIVE_INFINITY) spell.toMs = performance.now()
    }
  }

  /** Returns how much of this time it was frozen, in ms. */
  frozenMs(fromMs: number, toMs: number): number {
    return this.#frozen.reduce(
      (sum, spell) => sum + Math.max(0, Math.min(toMs, spell.toMs) - Math.max(fromMs, spell.fromMs)),
      0,
    )
  }

  /** Waits for an end that is expected. */
  async #ended(timeoutMs: number): Promise<boolean> {
    const exited = this.#exited
    this.#child = undefined
    this.#port = undefined
    let late: NodeJS.Timeout | undefined
    const inTime = await Promise.race([
      exited.then(() => true),
      new Promise<false>((resolve) => {
        late = setTimeout(() => resolve(false), timeoutMs)
      }),
    ])
    clearTimeout(late)
    return inTime
  }
}

function portIn(line: string): number | undefined {
  if (!line.includes('"serving"')) return undefined
  const { msg, port } = JSON.parse(line) as { msg?: unknown; port?: unknown }
  return msg === 'serving' && typeof port === 'number' ? port : undefined
}
