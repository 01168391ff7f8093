import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'

type Condition = 'service_healthy' | 'service_completed_successfully'

/** The parts of a service that docker-compose.yml uses. */
export interface Service {
  readonly image: string
  readonly build?: string
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly healthcheck?: {
    readonly test?: readonly string[]
    readonly interval?: string
    readonly timeout?: string
    readonly retries?: number
  }
  readonly depends_on?: Readonly<Record<string, { readonly condition: Condition }>>
  readonly restart?: string
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
}

const known: Readonly<Record<keyof Service, true>> = {
  image: true,
  build: true,
  command: true,
  environment: true,
  ports: true,
  volumes: true,
  healthcheck: true,
  depends_on: true,
  restart: true,
  read_only: true,
  cap_drop: true,
  security_opt: true,
}

/** Reads the services of a compose file, in an order in which each comes after those that it depends on. */
export async function readServices(path: string): Promise<ReadonlyMap<string, Service>> {
  const { services } = parse(await readFile(path, 'utf8'), { merge: true }) as {
    readonly services: Readonly<Record<string, Service>>
  }
  for (const [name, service] of Object.entries(services)) {
    const unknown = Object.keys(service).find((key) => !Object.hasOwn(known, key))
    if (unknown) throw new Error(`${path}: ${name}.${unknown} is not carried out here`)
  }
  const ordered = new Map<string, Service>()
  const add = (name: string) => {
    const service = services[name]
    if (ordered.has(name) || service === undefined) return
    for (const dependency of Object.keys(service.depends_on ?? {})) add(dependency)
    ordered.set(name, service)
  }
  for (const name of Object.keys(services)) add(name)
  return ordered
}

/**
 * Returns the options of `podman run` for a service.
 *
 * @param port returns the port of this machine for one in the file, which may be in use
 */
export function runOptions(service: Service, folder: string, port: (published: string) => number): string[] {
  const { healthcheck = {}, environment = {}, ports = [], volumes = [] } = service
  const [kind, ...test] = healthcheck.test ?? []
  if (kind !== undefined && kind !== 'CMD') throw new Error(`a health check of the kind ${kind}`)
  // Podman 4 divides the text at its spaces, and takes a JSON array for one word.
  if (test.some((word) => /\s/.test(word))) throw new Error('a health check with a space in a word')
  return [
    ...Object.entries(environment).map(([name, value]) => `--env=${name}=${value}`),
    ...ports.map((mapping) => {
      const [address, published = '', inside] = mapping.split(':')
      return `--publish=${address}:${port(published)}:${inside}`
    }),
    ...volumes.map((volume) => `--volume=${volume.replace(/^\.\//, `${folder}/`)}`),
    ...(test.length > 0 ? [`--health-cmd=CMD ${test.join(' ')}`] : []),
    ...(healthcheck.timeout === undefined ? [] : [`--health-timeout=${healthcheck.timeout}`]),
    // Podman would ask systemd to carry it out. The test does.
    '--health-interval=disable',
    // Without this, podman mounts writable folders on a read-only root.
    ...(service.read_only ? ['--read-only', '--read-only-tmpfs=false'] : []),
    ...(service.cap_drop ?? []).map((capability) => `--cap-drop=${capability}`),
    ...(service.security_opt ?? []).map((option) => `--security-opt=${option.replace(':true', '')}`),
    ...(service.restart === undefined || service.restart === 'no' ? [] : [`--restart=${service.restart}`]),
  ]
}
