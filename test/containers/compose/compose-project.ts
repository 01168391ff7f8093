import { resolve } from 'node:path'
import { eventually } from '../../support/eventually.js'
import { freePorts } from '../../support/free-ports.js'
import type { Podman } from '../podman/podman.js'
import { readServices, runOptions, type Service } from './compose-file.js'

/** A project of Compose, carried out with podman: one network, and containers named after their services. */
export class ComposeProject {
  /** Free ports of this machine, by the published ones of the file. */
  readonly #ports = new Map<string, number>()
  readonly #podman: Podman
  readonly #path: string
  readonly network: string

  constructor(podman: Podman, path: string, network: string) {
    this.#podman = podman
    this.#path = resolve(path)
    this.network = network
  }

  /** Base URL of what the file publishes as this port. */
  url(published: string): string {
    const port = this.#ports.get(published)
    if (port === undefined) throw new Error(`no service publishes port ${published}`)
    return `http://127.0.0.1:${port}`
  }

  /** Starts all services, each when those that it depends on are as it says. Resolves when all have started. */
  async up(): Promise<void> {
    const services = await readServices(this.#path)
    const published = [...services.values()].flatMap(({ ports = [] }) =>
      ports.map((port) => port.split(':')[1] ?? ''),
    )
    const first = await freePorts(published.length)
    for (const [index, port] of published.entries()) this.#ports.set(port, first + index)
    await this.#podman.output(['network', 'create', this.network])
    for (const [name, service] of services) {
      for (const [dependency, { condition }] of Object.entries(service.depends_on ?? {}))
        await this.#untilIs(dependency, condition)
      await this.#start(name, service)
    }
  }

  async #start(name: string, service: Service): Promise<void> {
    const options = runOptions(service, resolve(this.#path, '..'), (port) => this.#ports.get(port) ?? 0)
    const own = ['--detach', '--name', name, '--network', this.network]
    await this.#podman.output(['run', ...own, ...options, service.image, ...(service.command ?? [])])
  }

  async #untilIs(name: string, condition: string): Promise<void> {
    if (condition === 'service_healthy') return this.untilHealthy(name)
    if (condition !== 'service_completed_successfully') throw new Error(`the condition ${condition}`)
    const { ExitCode, Running } = await this.#podman
      .output(['wait', name])
      .then(() => this.#podman.stateOf(name))
    if (Running || ExitCode !== 0)
      throw new Error(`${name} ended with ${ExitCode}: ${await this.#podman.logOf(name)}`)
  }

  /** Resolves when the health check of a service passes. Rejects if its container ends. */
  async untilHealthy(name: string): Promise<void> {
    const hasPassed = await eventually(async () => {
      if ((await this.#podman.run(['healthcheck', 'run', name])).code === 0) return 'yes'
      return (await this.#podman.stateOf(name)).Running ? undefined : 'ended'
    })
    if (hasPassed === 'ended') throw new Error(`${name} has ended: ${await this.#podman.logOf(name)}`)
  }
}
