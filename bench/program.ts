import { type ChildProcess, spawn } from 'node:child_process'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from './bench.js'
import { type Cores, pinned } from './cores.js'

export interface ProgramOptions {
  readonly on: keyof Cores
  readonly environment?: Readonly<Record<string, string>>
  /** A channel for messages, to a program that is ours. */
  readonly ipc?: boolean
  readonly cwd?: string
}

const stopTimeoutMs = 10_000

/** A process that runs until the comparison is over. */
export function startProgram(
  bench: Pick<Bench, 'teardown'>,
  command: readonly string[],
  { on, environment = {}, ipc = false, cwd }: ProgramOptions,
): { readonly child: ChildProcess; end(): Promise<void> } {
  const [program, ...args] = pinned(on, command)
  const { PATH, HOME, TMPDIR } = process.env
  const child = spawn(program, args, {
    env: { PATH, HOME, TMPDIR, ...environment },
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
    ...(cwd && { cwd }),
  })
  const closed = new Promise<void>((resolve) =>
    child.once('close', () => resolve()).once('error', () => resolve()),
  )
  const end = async () => {
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
    await closed
    clearTimeout(late)
  }
  bench.teardown(end)
  return { child, end }
}

export interface Output {
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions extends ProgramOptions {
  readonly timeoutMs: number
  /** Sends it a SIGTERM, at which it is to end well. */
  readonly stop?: AbortSignal
}

/** Runs a program to its end. Rejects with what it said when that is not a good one. */
export function runProgram(
  command: readonly string[],
  { on, environment = {}, cwd, timeoutMs, stop }: RunOptions,
): Promise<Output> {
  const [program, ...args] = pinned(on, command)
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      ...(cwd && { cwd }),
    })
    stop?.addEventListener('abort', () => child.kill('SIGTERM'))
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text
    })
    child.once('error', reject).once('close', (code, signal) => {
      if (code === 0) resolve({ stdout, stderr })
      else
        reject(
          new Error(`${command[0]} ended with ${signal ?? code}: ${(stderr || stdout).trim().slice(-2_000)}`),
        )
    })
  })
}

/** Resolves when a program listens there. */
export async function untilListening(port: number, child: ChildProcess, withinMs = 20_000): Promise<void> {
  const deadlineMs = performance.now() + withinMs
  while (!(await accepts(port))) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`${child.spawnargs.join(' ')} ended before it listened`)
    if (performance.now() > deadlineMs) throw new Error(`nobody listens on port ${port} after ${withinMs} ms`)
    await sleep(10)
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
