import { readdirSync, readFileSync } from 'node:fs'

/** Resident memory, now and at its most, in MiB. */
export function memoryOf(pid: number): { readonly nowMiB: number; readonly mostMiB: number } {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mib = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(text)?.[1]) / 1024
  return { nowMiB: mib('VmRSS'), mostMiB: mib('VmHWM') }
}

/** Ticks per second in the figures of Linux, independent of the clock of the kernel. */
const ticksPerSecond = 100

/** Time on a core so far, of these processes and all their threads, in s. */
export function cpuSecondsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (ticksOf(pid)?.own ?? 0), 0) / ticksPerSecond
}

/** The same of a process with its children, those that have ended included. */
export function cpuSecondsOfTree(pid: number): number {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => ticksOf(Number(name)) ?? [])
    .filter(({ parent }) => parent === pid)
  const root = ticksOf(pid)
  const ticks = (root?.own ?? 0) + (root?.ended ?? 0) + children.reduce((sum, { own }) => sum + own, 0)
  return ticks / ticksPerSecond
}

interface Ticks {
  readonly parent: number
  readonly own: number
  /** CPU time of children that have ended. */
  readonly ended: number
}

/** Undefined for a process that is gone. */
function ticksOf(pid: number): Ticks | undefined {
  try {
    // The program's name, in parentheses, may hold anything.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').map(Number) ?? []
    const [, parent = 0] = fields
    const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15)
    return { parent, own: user + system, ended: endedUser + endedSystem }
  } catch {
    return undefined
  }
}
