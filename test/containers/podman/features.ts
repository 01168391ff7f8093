import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../../support/eventually.js'
import { CannotRun } from '../check-list.js'
import type { Podman } from './podman.js'

/** Features of podman, of its runtime and of the kernel that some checks need. */
export type Feature = 'containers' | 'networks' | 'freezing' | 'memory limits' | 'pods'

const probe = 'probe'
/** Exit code after SIGKILL. */
const killed = 137

/**
 * Tries features with a container that only has busybox, so that a check that fails later shows a fault of the project
 * and not of this machine.
 */
export class Features {
  readonly #podman: Podman
  readonly #image: string
  readonly #tried = new Map<Feature, Promise<void>>()

  /** @param image one with a shell */
  constructor(podman: Podman, image: string) {
    this.#podman = podman
    this.#image = image
  }

  /** Throws CannotRun if this machine lacks one of the features. */
  async require(...features: readonly Feature[]): Promise<void> {
    for (const feature of features) {
      const tried = this.#tried.get(feature) ?? this.#try(feature)
      this.#tried.set(feature, tried)
      await tried
    }
  }

  async #try(feature: Feature): Promise<void> {
    try {
      await this.#trials[feature]()
    } catch (error) {
      const lines = (error as Error).message.trim().split('\n')
      throw new CannotRun(`no ${feature} on this machine: ${lines.at(-1)}`)
    } finally {
      await this.#podman.remove(probe)
    }
  }

  readonly #trials: Readonly<Record<Feature, () => Promise<void>>> = {
    containers: async () => {
      const restricted = [
        '--read-only',
        '--cap-drop=all',
        '--security-opt=no-new-privileges',
        '--user=12345:12345',
      ]
      await this.#podman.output([
        'run',
        '--rm',
        '--network=host',
        ...restricted,
        this.#image,
        'sh',
        '-c',
        'true',
      ])
    },
    networks: async () => {
      await this.#podman.output(['network', 'create', probe])
      try {
        await this.#start('--network', probe, '--publish=127.0.0.1::8025')
        await this.#podman.output(['run', '--rm', '--network', probe, this.#image, 'nslookup', probe])
      } finally {
        await this.#podman.remove(probe)
        await this.#podman.run(['network', 'rm', '--force', probe])
      }
    },
    freezing: async () => {
      await this.#start('--network=host')
      await this.#podman.output(['pause', probe])
      await this.#podman.output(['unpause', probe])
    },
    'memory limits': async () => {
      const limit = ['--memory=64m', '--memory-swap=64m', '--network=host']
      const command = ['tail', '/dev/zero']
      await this.#podman.output(['run', '--detach', '--name', probe, ...limit, this.#image, ...command])
      await eventually(async () => !(await this.#podman.stateOf(probe)).Running)
      // Podman does not always say that it was for the memory.
      const { ExitCode } = await this.#podman.stateOf(probe)
      if (ExitCode !== killed) throw new Error('a limit of 64 MiB is not enforced')
    },
    pods: async () => {
      const pod = {
        ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: probe } },
        spec: { containers: [{ name: 'one', image: this.#image, command: ['sleep', '600'] }] },
      }
      const folder = join(this.#podman.folder, probe)
      await mkdir(folder)
      const file = join(folder, 'pod.json')
      await writeFile(file, JSON.stringify(pod))
      try {
        await this.#podman.output(['kube', 'play', file])
      } finally {
        await this.#podman.run(['pod', 'rm', '--force', '--time', '0', probe])
      }
    },
  }

  async #start(...options: readonly string[]): Promise<void> {
    await this.#podman.output(['run', '--detach', '--name', probe, ...options, this.#image, 'sleep', '600'])
  }
}
