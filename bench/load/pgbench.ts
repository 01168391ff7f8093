import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installed } from '../installed.js'
import { runProgram } from '../program.js'
import { quantile } from '../statistics.js'

export interface PgbenchOptions {
  readonly url: string
  /** In pgbench's own language. */
  readonly script: string
  readonly clients: number
  readonly seconds: number
}

export interface PgbenchResult {
  /** Transactions per second, without the time to connect. */
  readonly rate: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const program = installed('pgbench')

export const pgbenchMissing = program ? undefined : 'pgbench is not installed'

/** On the load's core, one thread, prepared statements. */
export async function pgbench({ url, script, clients, seconds }: PgbenchOptions): Promise<PgbenchResult> {
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
    const { stdout } = await runProgram(
      [program, ...args, '-l', '--log-prefix=log', '-f', 'script.sql', url],
      {
        on: 'load',
        cwd: folder,
        timeoutMs: seconds * 1_000 + 30_000,
      },
    )
    const rate = Number(/^tps = ([\d.]+)/m.exec(stdout)?.[1])
    if (!(rate > 0) || /failed transactions: [1-9]/.test(stdout)) throw new Error(`pgbench: ${stdout}`)
    const latencies: number[] = []
    for (const name of (await readdir(folder)).filter((one) => one.startsWith('log.'))) {
      for (const line of (await readFile(join(folder, name), 'utf8')).split('\n')) {
        if (line !== '') latencies.push(Number(line.split(' ')[2]) / 1e3)
      }
    }
    latencies.sort((one, other) => one - other)
    return { rate, p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) }
  } finally {
    await rm(folder, { recursive: true })
  }
}
