import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/**
 * The server under test has one core to itself, the load the other. PostgreSQL may use both: a sidecar and
 * pgbench then have the same two cores for the same work, whoever uses them.
 */
export interface Cores {
  readonly server: number
  readonly load: number
}

/** Undefined where processes cannot be pinned, or there is only one core. */
export const cores: Cores | undefined = findCores()

function findCores(): Cores | undefined {
  if (spawnSync('taskset', ['--version']).status !== 0) return undefined
  const [server, load] = allowed()
  return server === undefined || load === undefined ? undefined : { server, load }
}

function allowed(): number[] {
  const list = /Cpus_allowed_list:\s*(\S+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? ''
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}

/** The command line that runs this one on that core. */
export function pinned(where: keyof Cores, command: readonly string[]): [string, ...string[]] {
  const [program = '', ...args] = command
  return cores ? ['taskset', '--cpu-list', String(cores[where]), program, ...args] : [program, ...args]
}
