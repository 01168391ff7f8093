import { readFileSync } from 'node:fs'

/** What Linux tells of a process. */

/** Resident memory, now and at its most, in MiB. */
export function memoryOf(pid: number): { readonly nowMiB: number; readonly mostMiB: number } {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mib = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(text)?.[1]) / 1024
  return { nowMiB: mib('VmRSS'), mostMiB: mib('VmHWM') }
}

/** Linux counts in these, whatever the kernel's own clock does. */
const ticksPerSecond = 100

/** Time on a core so far, of these processes and all their threads, in s. */
export function cpuSecondsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    // The program's name, in parentheses, may hold anything.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return sum + (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  }, 0)
}
