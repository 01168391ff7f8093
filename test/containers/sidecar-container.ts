import { eventually } from '../support/eventually.js'
import { freePorts } from '../support/free-ports.js'
import { JsonClient } from '../support/json-client.js'
import type { Podman } from './podman/podman.js'

/** Options under which the sidecar must run: it writes no file, needs no right, and runs as any user. */
export const restricted = [
  ...['--read-only', '--read-only-tmpfs=false', '--cap-drop=all', '--security-opt=no-new-privileges'],
  ...['--user=12345:12345'],
]

export interface SidecarContainer {
  readonly name: string
  readonly client: JsonClient
  /** Client of the operations listener. */
  readonly ops: JsonClient
}

export interface SidecarOptions {
  readonly image: string
  readonly name: string
  readonly databaseUrl: string
  readonly environment?: Readonly<Record<string, string>>
  /** Options of `podman run`. */
  readonly options?: readonly string[]
  /** Replaces the image's command. */
  readonly command?: readonly string[]
}

/**
 * Starts a sidecar in the network of this machine, on free ports. Resolves when its health check passes. Rejects with
 * its log if it ends before.
 */
export async function startSidecar(podman: Podman, start: SidecarOptions): Promise<SidecarContainer> {
  const { name, image, databaseUrl, environment = {}, options = [], command = [] } = start
  const port = await freePorts(2)
  const variables = {
    ...{ DATABASE_URL: databaseUrl, PORT: `${port}`, OPS_PORT: `${port + 1}`, OPS_HOST: '127.0.0.1' },
    ...environment,
  }
  const env = Object.entries(variables).map(([variable, value]) => `--env=${variable}=${value}`)
  const own = ['--detach', '--name', name, '--network=host', '--health-interval=disable']
  await podman.output(['run', ...own, ...env, ...options, image, ...command])
  const sidecar = {
    name,
    client: new JsonClient(`http://127.0.0.1:${port}`),
    ops: new JsonClient(`http://127.0.0.1:${port + 1}`),
  }
  const health = await eventually(async () => {
    if ((await podman.run(['healthcheck', 'run', name])).code === 0) return 'passes'
    return (await podman.stateOf(name)).Running ? undefined : 'has ended'
  })
  if (health !== 'passes') throw new Error(`${name} has ended: ${await podman.logOf(name)}`)
  await eventually(async () => (await sidecar.client.stats()).feed.state === 'live')
  return sidecar
}
