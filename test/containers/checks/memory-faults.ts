import { Agent } from 'node:http'
import { JsonClient } from '../../support/json-client.js'
import type { Podman } from '../podman/podman.js'
import { type SidecarOptions, startSidecar } from '../sidecar-container.js'

/** Limit of the container, without swap. */
const limit = ['--memory=256m', '--memory-swap=256m']
/** In all 250 MiB, which a sidecar with default settings does not hold. */
const values = { count: 4_000, bytes: 64 * 1024 }

/** Returns what is wrong with a sidecar in a container of 256 MiB that gets 250 MiB of values. */
export async function memoryFaults(podman: Podman, start: SidecarOptions): Promise<string[]> {
  const { options = [], name } = start
  const { client } = await startSidecar(podman, { ...start, options: [...options, ...limit] })
  const failure = await fill(client).catch((error: Error) => error)
  const { Running, ExitCode } = await podman.stateOf(name)
  if (!Running) return [`it has ended with ${ExitCode}: ${await podman.logOf(name)}`]
  if (failure) return [failure.message]
  const { status } = await client.set('after', 'all')
  return status === 200 ? [] : [`a write after it was answered with ${status}`]
}

/** Writes and reads all values, with some requests at once. */
async function fill({ base }: JsonClient): Promise<void> {
  const value = 'x'.repeat(values.bytes)
  let next = 0
  const workers = Array.from({ length: 16 }, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const client = new JsonClient(base, agent)
    for (let number = next++; number < values.count; number = next++) {
      await client.set(`large ${number}`, value)
      await client.get(`large ${number}`)
      await client.get(`large ${Math.floor(number / 2)}`)
    }
    agent.destroy()
  })
  await Promise.all(workers)
}
