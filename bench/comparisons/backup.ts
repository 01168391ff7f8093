import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Bench } from '../bench.js'
import type { Comparison, Contender, Missing } from '../comparison.js'
import { installed } from '../installed.js'
import { memoryOf } from '../process-usage.js'
import { startProgram } from '../program.js'

const count = 1_000_000
const valueBytes = 200
const mostMiB = 256
const columns = 'key, value, content_type, expires_at, updated_at'
const pollMs = 20

const debian = '/usr/lib/postgresql/15/bin/psql'
const psql = existsSync(debian) ? debian : installed('psql')
const missing = 'psql is not installed (Debian: postgresql-client)'

/** All entries out and in again, by the commands and by psql; uncompressed, to and from a file. */
export const backup: Comparison = {
  name: 'backup',
  about: `backup and restore of ${count.toLocaleString('en-US')} entries`,
  once: true,
  rows: [
    { work: 'backup', figure: 'rate', unit: 'rows/s', of: 'sidecar: backup', against: 'psql \\copy to' },
    {
      work: 'restore into an empty table',
      figure: 'rate',
      unit: 'rows/s',
      of: 'sidecar: restore',
      against: 'psql \\copy from',
    },
    ...['backup', 'restore'].map((command) => ({
      work: `${command}, resident memory at most`,
      figure: 'mostMiB',
      unit: 'MiB',
      of: `sidecar: ${command}`,
      target: { atMost: mostMiB },
    })),
  ],
  async open(bench) {
    const { url, query } = await bench.postgres.database({ rows: count, valueBytes })
    const folder = await mkdtemp(join(tmpdir(), 'caching-layer-bench-'))
    bench.teardown(() => rm(folder, { recursive: true, force: true }))
    const file = (name: string) => join(folder, name)
    const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
    const empty = async () => {
      await query('truncate cache_entries')
      await query('checkpoint')
    }
    const ours = (command: string, ...options: string[]): Contender => ({
      name: `sidecar: ${command}`,
      measure: async () => {
        if (command === 'restore') await empty()
        const args = [process.execPath, main, command, `--file=${file('backup')}`, ...options]
        return run(bench, args, { DATABASE_URL: url })
      },
    })
    const theirs = (direction: 'to' | 'from'): Contender | Missing => {
      const name = `psql \\copy ${direction}`
      if (psql === undefined) return { name, missing }
      const copy = `\\copy cache_entries (${columns}) ${direction} '${file('copy')}'`
      return {
        name,
        measure: async () => {
          if (direction === 'from') await empty()
          return run(bench, [psql, '-X', '-v', 'ON_ERROR_STOP=1', '-c', copy, url])
        },
      }
    }
    // Both backups while the table is full.
    return [ours('backup', '--force'), theirs('to'), ours('restore', '--mode=replace'), theirs('from')]
  },
}

async function run(
  bench: Bench,
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<{ rate: number; mostMiB: number }> {
  const startMs = performance.now()
  const { child } = startProgram(bench, command, { on: 'server', environment })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text) => {
      said += text
    })
  let most = 0
  const poll = setInterval(() => {
    if (child.pid !== undefined && child.exitCode === null) most = memoryOr(child.pid, most)
  }, pollMs)
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject).once('close', resolve)
  }).finally(() => clearInterval(poll))
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}: ${said.trim()}`)
  return { rate: count / ((performance.now() - startMs) / 1_000), mostMiB: most }
}

/** A process that has just ended has no memory any more. */
function memoryOr(pid: number, last: number): number {
  try {
    return memoryOf(pid).mostMiB || last
  } catch {
    return last
  }
}
