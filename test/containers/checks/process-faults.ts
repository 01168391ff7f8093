import { readFile } from 'node:fs/promises'
import type { Podman } from '../podman/podman.js'

/**
 * Returns what is wrong with the process 1 of a running container, as the kernel sees it.
 *
 * @param user number that it must run as
 */
export async function processFaults(podman: Podman, name: string, user: number): Promise<string[]> {
  const { Pid } = await podman.stateOf(name)
  const status = await readFile(`/proc/${Pid}/status`, 'utf8')
  const fieldOf = (field: string) => new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(status)?.[1]
  const [program = ''] = (await readFile(`/proc/${Pid}/cmdline`, 'utf8')).split('\0')
  const faults: string[] = []
  if (!/(^|\/)node$/.test(program)) faults.push(`process 1 is ${program}, not node`)
  const ids = new Set(fieldOf('Uid')?.split(/\s+/))
  if (ids.size !== 1 || !ids.has(String(user))) faults.push(`it runs as user ${[...ids]}, not ${user}`)
  for (const field of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
    if (!/^0+$/.test(fieldOf(field) ?? '')) faults.push(`it has capabilities: ${field} is ${fieldOf(field)}`)
  if (fieldOf('NoNewPrivs') !== '1') faults.push('it may get new privileges')
  const mounts = await readFile(`/proc/${Pid}/mounts`, 'utf8')
  const [, options = ''] = /^\S+ \/ \S+ (\S+)/m.exec(mounts) ?? []
  if (!options.split(',').includes('ro')) faults.push('its root file system can be written')
  return faults
}
