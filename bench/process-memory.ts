import { readFileSync } from 'node:fs'

/** Resident memory of a process, now and at its most, in MiB. Linux only. */
export function memoryOf(pid: number): { readonly nowMiB: number; readonly mostMiB: number } {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mib = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(text)?.[1]) / 1024
  return { nowMiB: mib('VmRSS'), mostMiB: mib('VmHWM') }
}
