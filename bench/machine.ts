import { execFileSync } from 'node:child_process'
import { cpus, totalmem } from 'node:os'
import { cores } from './cores.js'
import { generator } from './load/load.js'

/** Machine on which a section was measured. */
export interface Machine {
  readonly date: string
  readonly commit: string
  readonly cpu: string
  readonly memoryGiB: number
  readonly pinning: string
  readonly node: string
  /** Empty where no database took part. */
  readonly postgres: string
  /** Program that generates the load. */
  readonly generator: string
  /** The load average before: what others did. */
  readonly loadBefore: number
}

export function machineNow(): Omit<Machine, 'postgres' | 'loadBefore'> {
  const [first] = cpus()
  return {
    date: new Date().toISOString(),
    commit: commitNow(),
    cpu: `${cpus().length} x ${first?.model.trim()}`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    pinning: cores
      ? `servers on core ${cores.server}, load on core ${cores.load}, PostgreSQL on both`
      : 'nothing is pinned: no taskset, or one core',
    node: process.version,
    generator,
  }
}

function commitNow(): string {
  try {
    const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8', stdio: 'pipe' }).trim()
    const changed = git('status', '--porcelain', '--', 'src', 'sql', 'package-lock.json') !== ''
    return `${git('rev-parse', '--short=10', 'HEAD')}${changed ? ' and changes' : ''}`
  } catch {
    return 'unknown'
  }
}
