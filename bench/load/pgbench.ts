import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installed } from '../installed.js'
import { runProgram } from '../program.js'
import { quantile } from '../statistics.js'

export interface PgbenchOptions {
  readonly url: string
  /** Script in the language of pgbench. */
  readonly script: string
  readonly clients: number
  readonly seconds: number
  /** Writes a line for each transaction, which takes some of pgbench's time. */
  readonly withLatencies?: boolean
}

export type PgbenchResult = {
  /** Transactions per second, without the time to connect. */
  readonly rate: number
  /** Median latency, if latencies were requested. */
  readonly p50Ms?: number
}

const program = installed('pgbench')

export const pgbenchMissing = program ? undefined : 'pgbench is not installed'

/** Runs pgbench on the core of the load, with one thread and prepared statements. */
export async function pgbench({
  url,
  script,
  clients,
  seconds,
  withLatencies = false,
}: PgbenchOptions): Promise<PgbenchResult> {
  if (program === undefined) throw new Error(pgbenchMissing)
  const folder = await mkdtemp(join(tmpdir(), 'caching-layer-pgbench-'))
  try {
    await writeFile(join(folder, 'script.sql'), script)
    const args = [
      '-n',
      '-M',
      'prepared',
      '-c',
      String(clients),
      '-j',
      '1',
      '-T',
      String(Math.max(1, Math.round(seconds))),
    ]
    const log = withLatencies ? ['-l', '--log-prefix=log'] : []
    const { stdout } = await runProgram([program, ...args, ...log, '-f', 'script.sql', url], {
      on: 'load',
      cwd: folder,
      timeoutMs: seconds * 1_000 + 30_000,
    })
    const rate = Number(/^tps = ([\d.]+)/m.exec(stdout)?.[1])
    if (!(rate > 0) || /failed transactions: [1-9]/.test(stdout)) throw new Error(`pgbench: ${stdout}`)
    if (!withLatencies) return { rate }
    const latencies = await latenciesIn(folder)
    return { rate, p50Ms: quantile(latencies, 0.5) }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Returns the latencies in ms, in ascending order. */
async function latenciesIn(folder: string): Promise<number[]> {
  const latencies: number[] = []
  for (const name of (await readdir(folder)).filter((one) => one.startsWith('log.'))) {
    for (const line of (await readFile(join(folder, name), 'utf8')).split('\n')) {
      if (line !== '') latencies.push(Number(line.split(' ')[2]) / 1e3)
    }
  }
  return latencies.sort((one, other) => one - other)
}
